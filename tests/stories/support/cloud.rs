//! What a story sees of its local cloud, and what it changes there behind a run's back.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use beanline::inputs::Secret;
use beanline::local::plane::{PlaneClient, RegistryWrite};

use super::{World, docker};

impl World {
    /// What `beanline local status` says under a name.
    pub fn local(&self, name: &str) -> String {
        let status = self.beanline(&["local", "status"], &[]).expect(0);
        let found = status.output.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("no {name} in:\n{}", status.output)).to_owned()
    }

    /// Whether another process serves the local cloud.
    pub fn is_served(&self) -> bool {
        // One that only serves itself left the file too.
        let file = find(&self.path("state"), "serving.json");
        file.and_then(|file| std::fs::read_to_string(file).ok())
            .is_some_and(|text| text.contains("\"for_others\":true"))
    }

    /// Where the control plane of the process that serves the local cloud answers.
    pub fn endpoint(&self) -> String {
        let file = find(&self.path("state"), "serving.json").expect("somebody serves the local cloud");
        let serving: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        serving["endpoint"].as_str().unwrap().to_owned()
    }

    /// What live answers to a path, through the router's port on this machine.
    pub fn live(&self, path: &str) -> Option<String> {
        Self::live_behind(&self.local("ROUTER"), path)
    }

    /// The same for who knows the router's address already.
    pub fn live_behind(router: &str, path: &str) -> Option<String> {
        let port: u16 = router.rsplit_once(':').unwrap().1.parse().unwrap();
        http_get(port, &format!("shop.localhost:{port}"), path)
    }

    /// Everything that was ever written to the registry.
    pub fn registry_writes(&self) -> Vec<RegistryWrite> {
        self.runtime.block_on(self.plane().registry_log()).unwrap()
    }

    /// Makes the tags of the repository `shop` unchangeable, as ECR can.
    pub fn keep_tags(&self) {
        assert!(self.runtime.block_on(self.plane().keep_tags("shop", true)).unwrap(), "there is a repository");
    }

    /// The admin API of the data plane.
    pub fn plane(&self) -> PlaneClient {
        let state = self.state();
        let name = format!("beanline-local-{}", state["world"].as_str().unwrap());
        let published = docker(&["port", &name, "7000/tcp"]).expect("the data plane runs");
        PlaneClient::new(published.trim(), Secret::new(state["admin_token"].as_str().unwrap()))
    }

    /// User and password of the registry.
    pub fn registry_login(&self) -> (String, String) {
        ("AWS".to_owned(), self.state()["registry_password"].as_str().unwrap().to_owned())
    }

    /// The state of the local cloud.
    pub fn state(&self) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(self.state_file()).unwrap()).unwrap()
    }

    /// Changes the state between two runs, when nobody serves it.
    pub fn change_state(&self, change: impl FnOnce(&mut serde_json::Value)) {
        let mut state = self.state();
        change(&mut state);
        std::fs::write(self.state_file(), serde_json::to_vec(&state).unwrap()).unwrap();
    }

    fn state_file(&self) -> PathBuf {
        find(&self.path("state"), "state.json").expect("the local cloud has a state")
    }

    /// Sets what the local Beanstalk does wrong in the runs that follow; each is a name, an action or nothing, a count
    /// or nothing.
    pub fn set_faults(&self, faults: &[(&str, Option<&str>, Option<u32>)]) {
        let fault = |&(name, action, times): &(&str, Option<&str>, Option<u32>)| serde_json::json!({ "name": name, "action": action, "environment": null, "times": times, "millis": 0 });
        self.change_state(|state| state["faults"] = faults.iter().map(fault).collect());
    }

    /// How often an action was called that changes something.
    pub fn calls(&self, action: &str) -> usize {
        self.state()["calls"].as_array().unwrap().iter().filter(|call| call["action"] == action).count()
    }

    /// The environments that are not terminated: name, CNAME and version label.
    pub fn environments(&self) -> Vec<(String, String, String)> {
        let state = self.state();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let all = state["environments"].as_array().unwrap().iter().filter(|one| one["status"] != "Terminated");
        all.map(|one| (text(&one["name"]), text(&one["cname"]), text(&one["version_label"]))).collect()
    }

    /// The same, or `None` when there is no local cloud.
    pub fn environments_or_none(&self) -> Option<Vec<(String, String, String)>> {
        find(&self.path("state"), "state.json").map(|_| self.environments())
    }
}

fn find(directory: &Path, name: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(directory).ok()?.flatten();
    entries.map(|entry| entry.path()).find_map(|path| match path.is_dir() {
        true => find(&path, name),
        false => (path.file_name()? == name).then_some(path),
    })
}

fn http_get(port: u16, host: &str, path: &str) -> Option<String> {
    let mut connection = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(connection, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
}
