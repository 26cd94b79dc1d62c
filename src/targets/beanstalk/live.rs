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
    match found.as_slice() {
        [one] if one.application == application => Ok(Some(one)),
        [one] => Err(Fault::new(format!(
            "{} belongs to environment {} of application {}, not of {application}",
            one.cname, one.name, one.application
        ))
        .hint(format!("set application to {}, or environment to a CNAME of {application}", one.application))),
        [] => match standing().find(|environment| environment.name == live.trim() && !environment.cname.is_empty()) {
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

/// There is no live environment and none may be made.
pub fn missing(environments: &[Environment], application: &str, live: &str) -> Fault {
    let known: Vec<&Environment> =
        environments.iter().filter(|e| e.application == application && !e.status.is_ending()).collect();
    let live = tidy_cname(live);
    let fault = Fault::new(format!("no environment of application {application} answers to {live}"));
    let fault = match known.as_slice() {
        [] => fault.cause("it has no environments that these credentials may see").cause(EMPTY),
        known => fault.cause(format!("there are: {}", listed(known))),
    };
    fault.hint("set environment to the CNAME, or its prefix, of the one that is live; or create=true to make the first")
}

fn listed(environments: &[&Environment]) -> String {
    let one = |environment: &&Environment| {
        let cname = if environment.cname.is_empty() { "no CNAME" } else { &environment.cname };
        format!("{} ({cname})", environment.name)
    };
    environments.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Whether live can be followed by a candidate. `newest` is its newest event.
///
/// # Errors
/// Live is busy, or is none that a swap works with.
pub fn check(live: &Environment, newest: Option<&PlatformEvent>) -> Result<(), Fault> {
    if !live.tier.is_empty() && live.tier != "WebServer" {
        return Err(Fault::new(format!("environment {} is of the {} tier", live.name, live.tier))
            .cause("only web environments have a CNAME to swap"));
    }
    if live.status != Status::Ready {
        let doing = newest.map_or_else(String::new, |event| format!("; last heard at {}: {}", event.at, event.message));
        return Err(Fault::new(format!("environment {} is {}, not Ready{doing}", live.name, live.status))
            .hint("run again when that is over"));
    }
    Ok(())
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
            .cause("a candidate made from its settings would get a new, empty database, and a swap would lose the data")
            .hint("decouple the database from the environment first, then deploy again")),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::super::verdict::tests::environment;
    use super::*;
    use crate::inputs::{BeanstalkPlan, Health, KeepPrevious, OnBusy};

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
            ready_path: "/".into(),
            environment_variables: Vec::new(),
        }
    }

    fn named(name: &str, cname: &str, status: Status) -> Environment {
        let cname = format!("{cname}.eu-west-1.elasticbeanstalk.com");
        Environment { name: name.into(), cname, ..environment(status, "1", Health::Green) }
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
        let elsewhere = [Environment { application: "other".into(), ..world[2].clone() }];
        assert!(find_live(&elsewhere, "shop").unwrap_err().contains("of application other"));
        let legacy = Environment { cname: "shop.elasticbeanstalk.com".into(), ..world[1].clone() };
        let twice = find_live(&[world[2].clone(), legacy], "shop").unwrap_err();
        assert!(twice.contains("shop-green") && twice.contains("shop-blue"));
        let fault = missing(&world, "shop", "other").to_string();
        assert!(fault.contains("shop-blue (shop-x.eu-west-1.elasticbeanstalk.com)") && !fault.contains("shop-old"));
    }

    #[test]
    fn a_busy_live_is_refused_in_one_sentence() {
        let busy = named("shop-green", "shop", Status::Updating);
        assert!(check(&busy, None).unwrap_err().to_string().contains("is Updating, not Ready"));
        let worker = Environment { tier: "Worker".into(), ..named("w", "w", Status::Ready) };
        assert!(check(&worker, None).is_err());
        assert!(check(&named("shop-green", "shop", Status::Ready), None).is_ok());
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
