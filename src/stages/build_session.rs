//! What a build is lent besides files: asked about before anything is changed.

use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;

use crate::fault::Fault;

/// The SSH agents of the build must be there. A key file is none: it would have to be read, and perhaps unlocked, by us.
///
/// # Errors
/// A path is no socket.
pub(super) fn check_agents(agents: &[(String, PathBuf)]) -> Result<(), Fault> {
    for (id, path) in agents {
        let what = format!("could not use {} as the SSH agent `{id}`", path.display());
        match path.metadata() {
            Ok(facts) if facts.file_type().is_socket() => {}
            Ok(_) => {
                return Err(Fault::new(what)
                    .cause("it is no agent's socket")
                    .hint("for a key file, start an agent: eval \"$(ssh-agent)\"; ssh-add KEY")
                    .hint("then set `build_ssh` to `default`, or to a line `ID=` with the agent's socket"));
            }
            Err(error) => {
                return Err(Fault::new(what).because(error).hint(
                    "when Beanline runs in a container, mount the agent's socket: \
                     -v \"$SSH_AUTH_SOCK:/agent.sock\" -e SSH_AUTH_SOCK=/agent.sock",
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_a_socket_and_no_key_file() {
        let root = std::env::temp_dir().join(format!("beanline-test-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&root).unwrap();
        let agent = |name: &str| [("git".to_owned(), root.join(name))];
        std::fs::write(root.join("key"), "obvious-fake").unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        let checked = ["socket", "key", "absent"].map(|name| check_agents(&agent(name)));
        std::fs::remove_dir_all(&root).unwrap();
        let [socket, key, absent] = checked;
        assert!(socket.is_ok());
        assert!(key.unwrap_err().hints()[0].contains("ssh-add"));
        assert!(absent.unwrap_err().hints()[0].contains("mount"));
    }
}
