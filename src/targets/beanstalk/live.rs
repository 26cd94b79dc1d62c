//! Which environment is live: found by its CNAME, since names lie after one swap.

use aws_sdk_elasticbeanstalk::types::ConfigurationOptionSetting;

use super::names::{is_cname, tidy_cname};
use super::platform::{Environment, PlatformEvent, Status};
use super::verdict::EMPTY;
use crate::fault::Fault;

/// The environment that holds the CNAME that `live` names; what is going or gone does not count.
///
/// # Errors
/// Two of them, one of another application, or a name of an environment where a CNAME belongs.
pub fn find<'a>(
    environments: &'a [Environment],
    application: &str,
    live: &str,
    region: &str,
) -> Result<Option<&'a Environment>, Fault> {
    let standing = || environments.iter().filter(|environment| !environment.status.is_ending());
    let found: Vec<&Environment> = standing().filter(|e| is_cname(&e.cname, live, region)).collect();
    let named = standing().find(|environment| environment.name == live.trim());
    match found.as_slice() {
        [one] if named.is_some_and(|named| named.id != one.id) => Err(Fault::new(format!(
            "`{live}` is the CNAME of one environment and the name of another: {}",
            listed(&[&[*one], named.as_slice()].concat())
        ))
        .hint(format!("live is known by its CNAME: write environment={}", one.cname))),
        [one] if one.application == application => Ok(Some(one)),
        [one] => Err(Fault::new(format!(
            "{} belongs to environment {} of application {}, not of {application}",
            one.cname, one.name, one.application
        ))
        .hint(format!("set application to {}, or environment to a CNAME of {application}", one.application))),
        [] => match named {
            Some(named) if named.cname.is_empty() => Err(refuse_worker(named)),
            Some(named) => Err(Fault::new(format!(
                "`{live}` is the name of an environment and no CNAME; its CNAME is {}",
                named.cname
            ))
            .hint(format!(
                "names stay when CNAMEs are swapped, so live is known by its CNAME: write environment={}",
                super::names::prefix_of(&named.cname, region)
            ))),
            None => Ok(None),
        },
        several => Err(Fault::new(format!("several environments answer to `{live}`: {}", listed(several)))
            .hint("give the whole CNAME of the one that is live")),
    }
}

/// The environment of that name, which is updated in place; what is going or gone does not count.
///
/// # Errors
/// Two of them, one of another application, or a CNAME where a name belongs.
pub fn find_named<'a>(
    environments: &'a [Environment],
    application: &str,
    name: &str,
    region: &str,
) -> Result<Option<&'a Environment>, Fault> {
    let standing = || environments.iter().filter(|environment| !environment.status.is_ending());
    let found: Vec<&Environment> = standing().filter(|environment| environment.name == name).collect();
    match found.as_slice() {
        [one] if one.application == application => Ok(Some(one)),
        [one] => Err(Fault::new(format!(
            "environment {name} is one of application {}, not of {application}",
            one.application
        ))
        .hint(format!("set application to {}, or environment to one of {application}", one.application))),
        [] => match standing().find(|environment| is_cname(&environment.cname, name, region)) {
            Some(other) => Err(Fault::new(format!(
                "`{name}` is the CNAME {} and the name of no environment; {} holds it",
                other.cname, other.name
            ))
            .hint(format!("in place an environment is known by its name: write environment={}", other.name))),
            None => Ok(None),
        },
        several => Err(Fault::new(format!("several environments are named {name}: {}", listed(several)))
            .hint("run again when the one that is on its way out is gone")),
    }
}

/// There is no live environment and none may be made.
pub fn missing(environments: &[Environment], application: &str, live: &str) -> Fault {
    let live = tidy_cname(live);
    let fault = Fault::new(format!("no environment of application {application} answers to {live}"));
    fault
        .cause(there_are(environments, application))
        .hint("set environment to the CNAME, or its prefix, of the one that is live; or create=true to make the first")
}

/// There is no environment of that name, and none may be made.
pub fn missing_named(environments: &[Environment], application: &str, name: &str) -> Fault {
    let fault = Fault::new(format!("application {application} has no environment {name}"));
    let fault = fault.cause(there_are(environments, application));
    fault.hint("set environment to the name of the one that is updated; or create=true to make it")
}

/// What an application has. An answer without any may be one that lacks a right: that is no error to the platform.
fn there_are(environments: &[Environment], application: &str) -> String {
    let known: Vec<&Environment> =
        environments.iter().filter(|e| e.application == application && !e.status.is_ending()).collect();
    match known.as_slice() {
        [] => format!("it has no environments that these credentials may see; {EMPTY}"),
        known => format!("there are: {}", listed(known)),
    }
}

pub(super) fn listed(environments: &[&Environment]) -> String {
    let one = |environment: &&Environment| {
        let cname = if environment.cname.is_empty() { "no CNAME" } else { &environment.cname };
        format!("{} ({cname})", environment.name)
    };
    environments.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Only a web environment can hand its CNAME on.
///
/// # Errors
/// It is of another tier.
pub fn check_tier(environment: &Environment) -> Result<(), Fault> {
    match environment.tier.as_str() {
        "" | "WebServer" => Ok(()),
        _ => Err(refuse_worker(environment)),
    }
}

fn refuse_worker(environment: &Environment) -> Fault {
    Fault::new(format!("environment {} is of the {} tier", environment.name, environment.tier))
        .cause("only web environments have a CNAME to swap: others are updated in place only")
        .hint(format!("set strategy=in-place and environment={}", environment.name))
}

/// Whether nothing is under way there. `newest` is its newest event.
///
/// # Errors
/// It is busy, or on its way out.
pub fn check_ready(environment: &Environment, newest: Option<&PlatformEvent>) -> Result<(), Fault> {
    let (name, status) = (&environment.name, environment.status);
    if status == Status::Ready {
        return Ok(());
    }
    let doing = newest.map_or_else(String::new, |event| format!("; last heard at {}: {}", event.at, event.message));
    Err(Fault::new(format!("environment {name} is {status}, not Ready{doing}")).hint("run again when that is over"))
}

/// A database that belongs to an environment would be made anew and empty for the candidate.
///
/// # Errors
/// Live has one.
pub fn refuse_database(live: &str, settings: &[ConfigurationOptionSetting]) -> Result<(), Fault> {
    let database = |setting: &&ConfigurationOptionSetting| setting.namespace() == Some("aws:rds:dbinstance");
    let value = |setting: &ConfigurationOptionSetting| setting.value().unwrap_or_default().to_ascii_lowercase();
    let flag = settings.iter().filter(database).find(|setting| setting.option_name() == Some("HasCoupledDatabase"));
    let coupled = match flag {
        Some(flag) => value(flag) == "true",
        None => settings.iter().filter(database).any(|setting| !value(setting).is_empty()),
    };
    match coupled {
        false => Ok(()),
        true => Err(Fault::new(format!("environment {live} has a database of its own (aws:rds:dbinstance)"))
            .cause("a candidate has a database of its own, new and empty, and a swap would lose the data")
            .hint("decouple the database from the environment first, then deploy again")),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::super::verdict::tests::environment;
    use super::*;
    use crate::inputs::{BeanstalkPlan, Health, KeepPrevious, OnBusy, Promotion, Strategy};

    /// A plan for `shop` without anything special.
    pub fn plan() -> BeanstalkPlan {
        BeanstalkPlan {
            application: "shop".into(),
            live: "shop".into(),
            version_label: "2".into(),
            port: None,
            create: false,
            solution_stack: None,
            instance_profile: None,
            service_role: None,
            key_pair: None,
            deploy_timeout: Duration::from_secs(60),
            minimum_health: Health::Green,
            healthy_for: Duration::ZERO,
            health_timeout: Duration::from_secs(60),
            keep_failed: false,
            keep_previous: KeepPrevious::UntilNextDeploy,
            bucket: None,
            on_busy: OnBusy::Wait,
            strategy: Strategy::BlueGreen,
            promote: Promotion::Auto,
            keep_versions: None,
            bundle: None,
            option_settings: Vec::new(),
            environment_secrets: Vec::new(),
            ready_path: "/".into(),
            environment_variables: Vec::new(),
        }
    }

    fn named(name: &str, cname: &str, status: Status) -> Environment {
        let cname = format!("{cname}.eu-west-1.elasticbeanstalk.com");
        Environment { id: format!("e-{name}"), name: name.into(), cname, ..environment(status, "1", Health::Green) }
    }

    fn find_live<'a>(environments: &'a [Environment], live: &str) -> Result<Option<&'a str>, String> {
        let found = find(environments, "shop", live, "eu-west-1").map_err(|fault| fault.to_string())?;
        Ok(found.map(|environment| environment.name.as_str()))
    }

    #[test]
    fn live_is_who_holds_the_cname_and_stands() {
        let world = [
            named("shop-old", "shop", Status::Terminated),
            named("shop-blue", "shop-x", Status::Ready),
            named("shop-green", "shop", Status::Ready),
        ];
        assert_eq!(find_live(&world, "shop"), Ok(Some("shop-green")));
        assert_eq!(find_live(&world[..2], "shop"), Ok(None));
        assert!(find_live(&world, "shop-blue").unwrap_err().contains("is the name of an environment and no CNAME"));
        let both = [world[2].clone(), named("shop", "shop-y", Status::Ready)];
        let ambiguous = find_live(&both, "shop").unwrap_err();
        assert!(ambiguous.contains("shop-green (shop.eu") && ambiguous.contains("shop (shop-y.eu"), "{ambiguous}");
        assert_eq!(find_live(&both, "shop.eu-west-1.elasticbeanstalk.com"), Ok(Some("shop-green")));
        let elsewhere = [Environment { application: "other".into(), ..world[2].clone() }];
        assert!(find_live(&elsewhere, "shop").unwrap_err().contains("of application other"));
        let legacy = Environment { cname: "shop.elasticbeanstalk.com".into(), ..world[1].clone() };
        let twice = find_live(&[world[2].clone(), legacy], "shop").unwrap_err();
        assert!(twice.contains("shop-green") && twice.contains("shop-blue"));
        let fault = missing(&world, "shop", "other").to_string();
        assert!(fault.contains("shop-blue (shop-x.eu-west-1.elasticbeanstalk.com)") && !fault.contains("shop-old"));
    }

    #[test]
    fn in_place_is_who_has_the_name_and_stands() {
        let world = [
            named("shop", "shop-x", Status::Terminated),
            named("shop", "shop-y", Status::Ready),
            named("shop-green", "shop-live", Status::Ready),
        ];
        let find = |name: &str, application: &str| {
            let found = find_named(&world, application, name, "eu-west-1").map_err(|fault| fault.to_string())?;
            Ok::<_, String>(found.map(|environment| environment.cname.split('.').next().unwrap_or_default().to_owned()))
        };
        assert_eq!(find("shop", "shop"), Ok(Some("shop-y".to_owned())));
        assert_eq!(find("gone", "shop"), Ok(None));
        let cname = find("shop-live", "shop").unwrap_err();
        assert!(cname.contains("CNAME shop-live.eu-west-1") && cname.contains("shop-green holds it"), "{cname}");
        assert!(find("shop", "other").unwrap_err().contains("is one of application shop"));
        let twice = [world[1].clone(), world[1].clone()];
        assert!(find_named(&twice, "shop", "shop", "eu-west-1").unwrap_err().to_string().starts_with("several"));
        assert!(missing_named(&world, "shop", "gone").to_string().contains("there are: shop (shop-y."));
        assert!(missing_named(&[], "shop", "gone").to_string().contains("these credentials may see"));
    }

    #[test]
    fn a_busy_live_is_refused_in_one_sentence() {
        let busy = named("shop-green", "shop", Status::Updating);
        assert!(check_ready(&busy, None).unwrap_err().to_string().contains("is Updating, not Ready"));
        assert!(check_ready(&named("shop-green", "shop", Status::Ready), None).is_ok());
    }

    #[test]
    fn a_worker_is_sent_to_in_place() {
        let worker = Environment { tier: "Worker".into(), cname: String::new(), ..named("queue", "", Status::Ready) };
        let refused = [check_tier(&worker).unwrap_err(), find(&[worker], "shop", "queue", "eu-west-1").unwrap_err()];
        for fault in refused {
            assert!(fault.to_string().contains("updated in place only"), "{fault}");
            assert_eq!(fault.hints(), ["set strategy=in-place and environment=queue"]);
        }
        assert!(check_tier(&named("shop-green", "shop", Status::Ready)).is_ok());
    }

    #[test]
    fn a_coupled_database_is_refused() {
        let option = |name: &str, value: &str| {
            let option = ConfigurationOptionSetting::builder().namespace("aws:rds:dbinstance");
            option.option_name(name).value(value).build()
        };
        assert!(refuse_database("x", &[option("DBEngine", "mysql")]).is_err());
        assert!(refuse_database("x", &[option("HasCoupledDatabase", "true")]).is_err());
        assert!(refuse_database("x", &[option("HasCoupledDatabase", "false"), option("DBEngine", "mysql")]).is_ok());
        assert!(refuse_database("x", &[option("DBEngine", "")]).is_ok());
        assert!(refuse_database("x", &[]).is_ok());
    }
}
