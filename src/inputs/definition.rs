//! All inputs, once: the fields that are read, `--help`, `action.yml` and the README's table come from this list.

use serde::Deserialize;

/// What an input is about; the order is that of the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The run as a whole.
    Run,
    /// The image's name.
    Image,
    /// How it is built.
    Build,
    /// Tests inside the image.
    UnitTest,
    /// Containers beside the image.
    Services,
    /// Tests against the running application.
    Acceptance,
    /// How the application is started and probed.
    App,
    /// How to log in to the registry.
    Registry,
    /// The environment it is deployed to.
    Beanstalk,
    /// How AWS is reached.
    Aws,
    /// How the run is reported.
    Github,
}

impl Group {
    /// All groups, in order.
    pub const ALL: [Group; 11] = [
        Group::Run,
        Group::Image,
        Group::Build,
        Group::UnitTest,
        Group::Services,
        Group::Acceptance,
        Group::App,
        Group::Registry,
        Group::Beanstalk,
        Group::Aws,
        Group::Github,
    ];

    /// The group's title in `--help` and in tables.
    pub fn title(self) -> &'static str {
        match self {
            Group::Run => "run",
            Group::Image => "image",
            Group::Build => "build",
            Group::UnitTest => "unit test",
            Group::Services => "services",
            Group::Acceptance => "acceptance",
            Group::App => "the app",
            Group::Registry => "registry",
            Group::Beanstalk => "beanstalk",
            Group::Aws => "aws",
            Group::Github => "github",
        }
    }
}

/// What holds when an input is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// This text, read like the user's own.
    Is(&'static str),
    /// Something that is found out; in words.
    Taken(&'static str),
    /// Nothing.
    Nothing,
}

/// One input.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    /// Its name in `action.yml`; upper-cased behind `INPUT_` or `BEANLINE_` in the environment.
    pub name: &'static str,
    /// What it is about.
    pub group: Group,
    /// What holds without it.
    pub fallback: Fallback,
    /// One line for people.
    pub about: &'static str,
    /// Whether setting it has its effect today.
    pub built: bool,
}

impl Input {
    /// The default in words, in parentheses; empty if there is none.
    pub fn default_in_words(&self) -> String {
        match self.fallback {
            Fallback::Is(text) | Fallback::Taken(text) => format!("({text})"),
            Fallback::Nothing => String::new(),
        }
    }
}

/// The five inputs that are needed first.
pub const FIRST: [&str; 5] = ["image", "test_command", "application", "environment", "aws_region"];

/// Names that the most used deploy actions have for inputs of ours with the same meaning.
pub const ALIASES: &[(&str, &str)] = &[
    ("application_name", "application"),
    ("application-name", "application"),
    ("region", "aws_region"),
    ("aws-region", "aws_region"),
    ("version-label", "version_label"),
    ("option-settings", "option_settings"),
    ("environment_name", "environment"),
    ("environment-name", "environment"),
];

/// Inputs whose whole text is a secret, or a list of secrets.
pub const SECRET: &[&str] = &["github_token", "registry_password", "build_secrets", "mask"];

/// Variables that start like inputs and are none: what acceptance tests and the application are told.
pub const TOLD: &[&str] = &["BEANLINE_APP_URL", "BEANLINE_APP_HOST", "BEANLINE_APP_PORT", "BEANLINE_PLACE"];

/// The input of that name.
pub fn find(name: &str) -> Option<&'static Input> {
    INPUTS.iter().find(|input| input.name == name)
}

macro_rules! inputs {
    (@built) => { true };
    (@later) => { false };
    ($($group:ident { $($built:ident $name:ident = $fallback:expr, $about:literal;)* })*) => {
        /// All inputs, in the order in which people are told of them.
        pub const INPUTS: &[Input] = &[$($(Input {
            name: stringify!($name),
            group: Group::$group,
            fallback: $fallback,
            about: $about,
            built: inputs!(@$built),
        },)*)*];

        /// The text of each input, as it was written, trimmed; absent when it was empty.
        #[derive(Clone, Default, Deserialize)]
        #[serde(default)]
        pub struct Texts { $($(#[doc = $about] pub $name: Option<String>,)*)* }

        impl Texts {
            /// The text of the input of that name.
            pub fn get(&self, name: &str) -> Option<&str> {
                match name {
                    $($(stringify!($name) => self.$name.as_deref(),)*)*
                    _ => None,
                }
            }
        }
    };
}

use Fallback::{Is, Nothing, Taken};

inputs! {
    Run {
        built run = Taken("by the event"),
            "part of the story: pipeline, test, push, deploy, promote, rollback, cleanup, configure, check";
        built cloud = Is("aws"), "where the APIs are: aws, or local for the embedded cloud";
        built name = Taken("the application"), "name of the run, and prefix of its check runs";
        built timeout = Is("60m"), "time limit of the whole run";
        built dry_run = Is("false"), "print every change in order instead of making it";
        built log_format = Is("text"), "form of the log: text, or json for one event a line";
        built mask = Nothing, "further texts that must never be shown, one a line";
        built report_dir = Nothing, "directory that gets the report as files: summary.md, result.json, events.jsonl";
    }
    Image {
        built image = Nothing, "repository of the image, without a tag: registry.example.com/team/shop";
        built tag = Is("{sha}"), "tag of the image; may hold {sha} {short_sha} {branch} {build}";
        built extra_tags = Nothing, "further tags for the same digest, one a line; may hold the same placeholders";
        built revision = Taken("from the CI, else .git"), "commit that is built; it names the tag";
    }
    Build {
        built build = Is("always"),
            "when the image is built: always, or if-missing, which takes the tag in the registry if it has the same revision";
        built context = Is("."), "directory that is sent to the daemon";
        built dockerfile = Is("Dockerfile"), "path of the Dockerfile inside the context";
        built build_target = Taken("the last stage"), "stage of the Dockerfile that is shipped";
        built build_args = Nothing, "build arguments, KEY=VALUE lines";
        built build_secrets = Nothing,
            "secrets for RUN --mount=type=secret, one a line: ID=VALUE, a bare ID for the variable of that name, or id=ID,src=FILE";
        built build_ssh = Nothing, "SSH agents for RUN --mount=type=ssh: default, ID or ID=/path/of/agent.sock lines";
        later build_contexts = Nothing, "further named contexts, NAME=PATH lines";
        built build_platform = Taken("the daemon's"), "platform, such as linux/amd64";
        built labels = Taken("revision, source, created, version"), "labels on the image, KEY=VALUE lines; a line none leaves out those by default";
        built cache_from = Nothing, "images whose cache BuildKit uses, one a line";
        built cache_to = Nothing, "where BuildKit writes its cache to: inline, which is into the image";
        built cache_archive = Nothing, "file that carries the build cache between runs: loaded before the build, written after it";
        built pull = Is("false"), "ask for base images anew: true or false";
        built no_cache = Is("false"), "build without the cache: true or false";
    }
    UnitTest {
        built test_command = Nothing, "unit tests, run inside the built image; a JSON array, or text for sh -c";
        built test_target = Nothing, "other stage of the Dockerfile that the unit tests run on";
        built test_dockerfile = Nothing, "other Dockerfile for the image that the unit tests run on";
        built test_files = Nothing, "paths of the repository copied into the test container, one a line";
        built test_env = Nothing, "environment of the unit tests, KEY=VALUE lines";
        built test_reports = Nothing, "JUnit XML in the test container: files, directories and patterns, one a line";
        built test_memory = Nothing, "memory limit of the test container, such as 512m";
        built test_timeout = Is("20m"), "time limit of the unit tests";
    }
    Services {
        built services = Nothing, "databases and caches the tests need, in compose syntax";
    }
    Acceptance {
        built acceptance_command = Nothing,
            "acceptance tests, run in a container of the built image; a JSON array, or text for sh -c";
        built acceptance_target = Nothing, "other stage of the Dockerfile that the acceptance tests run in";
        built acceptance_image = Nothing, "other image that the acceptance tests run in, such as python:3.13-slim";
        built acceptance_files = Nothing, "paths of the repository copied into the acceptance container, one a line";
        built acceptance_http = Nothing, "built-in checks: GET /ping 200, or GET / 200 has \"Welcome\"";
        built acceptance_on = Is("container, candidate, live"), "where acceptance tests run; none switches them off";
        built acceptance_tls = Is("verify"), "certificates of candidate and live: verify, or none for no verification";
        built acceptance_timeout = Is("10m"), "time limit of the acceptance tests in each place";
        built candidate_url = Is("http://{cname}/"), "URL of the candidate; may hold {cname}";
        built live_url = Is("http://{cname}/"), "URL of live; may hold {cname}";
    }
    App {
        built port = Taken("the image's EXPOSE"), "port that the application listens on";
        built app_env = Nothing, "environment of the application in container acceptance, KEY=VALUE lines";
        built ready_path = Is("/"), "path that answers with a status under 400 when the application is ready";
        built ready_timeout = Is("60s"), "how long the application may take to become ready";
    }
    Registry {
        built registry_username = Taken("DOCKER_AUTH_CONFIG, docker's config, the CI's own; ECR by AWS credentials"),
            "user at the registry";
        built registry_password = Taken("likewise"), "password or token at the registry";
        built create_repository = Is("false"), "make a missing ECR repository: true or false";
    }
    Beanstalk {
        built application = Nothing, "name of the Elastic Beanstalk application";
        built environment = Nothing, "prefix of the live CNAME, such as shop-live, or the whole CNAME; in place the environment's name";
        built strategy = Is("blue-green"), "how it is deployed: blue-green, pair, in-place or version-only";
        built version_label = Is("{tag}"), "label of the application version; may hold {tag} and {bundle}, the bundle's short hash";
        built bundle = Nothing, "directory with .ebextensions, .platform, a Dockerrun or compose template";
        built option_settings = Nothing,
            "option settings, as the AWS CLI's JSON or as YAML; $VAR and ${VAR} come from the environment";
        built environment_variables = Nothing, "environment properties, KEY=VALUE lines";
        built environment_secrets = Nothing, "environment properties out of Secrets Manager or SSM, KEY=ARN lines";
        built solution_stack = Taken("the newest Docker on Amazon Linux 2023"), "platform of a first environment";
        built instance_profile = Nothing,
            "instance profile of a first environment, usually aws-elasticbeanstalk-ec2-role";
        built service_role = Nothing, "service role of a first environment, usually aws-elasticbeanstalk-service-role";
        built key_pair = Nothing, "EC2 key pair of a first environment";
        built create = Is("false"), "make application and first environment when missing: true or false";
        built deploy_timeout = Is("40m"), "time limit of the deployment";
        built minimum_health = Is("green"), "the lowest health that passes: green or yellow";
        built healthy_for = Is("15s"), "how long the health must hold";
        built health_timeout = Is("5m"), "how long the environment may take to become healthy";
        built promote = Is("auto"), "when the candidate becomes live: auto, or manual, by a later run=promote";
        built keep_failed = Is("false"), "keep a failed candidate for a look: true or false";
        built keep_previous = Is("until-next-deploy"),
            "what becomes of the previous environment: until-next-deploy, none, or how long it is kept, such as 4h";
        built keep_versions = Is("50"), "how many application versions are kept; none keeps all";
        built bucket = Taken("Beanstalk's own"), "S3 bucket for bundles";
        built on_busy = Is("wait"),
            "when another run or operation is under way: wait, fail, or abort an update that can be";
    }
    Aws {
        built aws_region = Taken("AWS_REGION, AWS_DEFAULT_REGION, a profile"), "AWS region";
        built role_to_assume = Nothing, "ARN of a role, assumed by GitHub OIDC or the ambient credentials";
    }
    Github {
        built github_token = Nothing, "token with checks: write; in action.yml the job's own";
        built report = Is("auto"), "what GitHub gets: auto (check runs, else statuses, else the log), checks, statuses, log, none";
        built deployment = Nothing, "name of the GitHub environment that gets a deployment record";
        built sha = Taken("from the CI's event"), "commit that is reported on";
        built repository = Taken("from the CI"), "owner/name of the GitHub repository";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_said_once_and_in_snake_case() {
        let mut names: Vec<_> = INPUTS.iter().map(|input| input.name).collect();
        assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
        assert!(names.iter().all(|name| !name.ends_with("_file")), "X_FILE is the file form of X");
        names.sort_unstable();
        names.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1]));
    }

    #[test]
    fn aliases_and_first_inputs_are_inputs() {
        assert!(ALIASES.iter().all(|(alias, name)| find(name).is_some() && find(alias).is_none()));
        assert!(SECRET.iter().all(|name| find(name).is_some()));
        assert!(FIRST.iter().all(|name| find(name).is_some_and(|input| input.built)));
    }

    #[test]
    fn descriptions_are_one_line() {
        for input in INPUTS {
            assert!(
                !input.about.contains('\n') && !input.about.ends_with('.') && !input.about.contains('|'),
                "{}",
                input.name
            );
        }
    }
}
