//! Where a repository was cloned from, for people to read.

/// The URL of the remote `origin` in git's configuration.
pub(super) fn origin(config: &str) -> Option<&str> {
    let mut lines = config.lines().map(str::trim).skip_while(|line| *line != "[remote \"origin\"]").skip(1);
    let section = lines.by_ref().take_while(|line| !line.starts_with('['));
    let urls = section.filter_map(|line| line.split_once('=')).filter(|(name, _)| name.trim() == "url");
    urls.map(|(_, url)| url.trim()).find(|url| !url.is_empty())
}

/// The page of a repository, as far as its clone URL tells: `https`, without user, password, query and `.git`. `None` for
/// a directory.
pub(in crate::inputs) fn page(url: &str) -> Option<String> {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (scheme, rest.to_owned()),
        // `git@host:owner/name`.
        None => (
            "ssh",
            url.split_once(':')
                .filter(|(host, _)| !host.contains('/'))
                .map(|(host, path)| format!("{host}/{}", path.trim_start_matches('/')))?,
        ),
    };
    if !matches!(scheme, "https" | "http" | "ssh" | "git" | "git+ssh") {
        return None;
    }
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.split_once('/')?;
    let host = authority.rsplit('@').next().unwrap_or_default();
    let (name, port) = host.split_once(':').unwrap_or((host, ""));
    // The port of another protocol says nothing of the page.
    let host = if matches!(scheme, "https" | "http") && !port.is_empty() { host } else { name };
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let legal =
        |text: &str| !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\');
    let scheme = if scheme == "http" { "http" } else { "https" };
    (legal(name) && legal(path)).then(|| format!("{scheme}://{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_no_credentials_and_is_https() {
        let cases = [
            ("https://github.com/team/shop.git", "https://github.com/team/shop"),
            ("https://me:obvious-fake@github.com/team/shop?x=obvious-fake", "https://github.com/team/shop"),
            ("git@github.com:team/shop.git", "https://github.com/team/shop"),
            ("ssh://git@git.example.com:2222/team/sub/shop", "https://git.example.com/team/sub/shop"),
            ("https://git.example.com:8443/shop/", "https://git.example.com:8443/shop"),
            ("http://git.local/team/shop", "http://git.local/team/shop"),
        ];
        for (url, expected) in cases {
            assert_eq!(page(url).as_deref(), Some(expected), "{url}");
        }
        for url in ["/srv/git/shop.git", "../shop", "file:///srv/shop", "https://github.com", "C:\\shop", "", "a b:c d"]
        {
            assert_eq!(page(url), None, "{url}");
        }
    }

    #[test]
    fn the_origin_is_found_in_its_section() {
        let config = "[core]\n\turl = no\n[remote \"other\"]\n\turl = other\n[remote \"origin\"]\n\tfetch = x\n\turl = \
                      git@github.com:team/shop.git\n[branch \"main\"]\n\tremote = origin\n";
        assert_eq!(origin(config), Some("git@github.com:team/shop.git"));
        assert_eq!(origin("[remote \"origin\"]\n[x]\nurl = a"), None);
    }
}
