//! A real PostgreSQL and a real Redis, out of the distribution's packages.

use std::path::Path;

use super::world::docker;

/// Images on the engine; they go when this is dropped.
pub struct ServiceImages {
    /// PostgreSQL with its client and a shell.
    pub postgres: String,
    /// Redis with its client and a shell.
    pub redis: String,
}

impl ServiceImages {
    /// Makes images of what the set-up of the tests unpacked; `None` with a printed reason where that is missing.
    pub fn load() -> Option<Self> {
        // Cargo's own directory for tests is below the target directory, or below the target's in that.
        let near = Path::new(env!("CARGO_TARGET_TMPDIR")).ancestors().skip(1).take(2);
        let found = near.map(|target| target.join("services")).find(|services| services.join("redis.tar").exists());
        let Some(directory) = found else {
            assert!(std::env::var_os("CI").is_none(), "CI=true, and tests/services/rootfs.sh has made no images");
            println!("skipped: tests/services/rootfs.sh has made no images; scripts/setup.sh test calls it");
            return None;
        };
        let id = uuid::Uuid::new_v4().simple().to_string();
        let name = |what: &str| format!("beanline-story-{what}-{id}:1");
        let images = Self { postgres: name("postgres"), redis: name("redis") };
        for (image, file, port) in [(&images.postgres, "postgres.tar", 5432), (&images.redis, "redis.tar", 6379)] {
            let (tar, expose) = (directory.join(file), format!("EXPOSE {port}"));
            let changes = ["ENTRYPOINT [\"/entrypoint\"]", "ENV PATH=/usr/sbin:/usr/bin", "USER 999", &expose];
            let changes = changes.iter().flat_map(|change| ["--change", change]);
            let arguments: Vec<&str> =
                ["import"].into_iter().chain(changes).chain([tar.to_str().unwrap(), image]).collect();
            docker(&arguments).unwrap();
        }
        Some(images)
    }
}

impl Drop for ServiceImages {
    fn drop(&mut self) {
        docker(&["rmi", &self.postgres, &self.redis]);
    }
}
