use super::super::live::tests::plan;
use super::*;

fn set(namespace: &str, option: &str, value: &str) -> ConfigurationOptionSetting {
    ConfigurationOptionSetting::builder().namespace(namespace).option_name(option).value(value).build()
}

fn want(namespace: &str, option: &str, value: Secret) -> OptionSetting {
    OptionSetting { namespace: namespace.into(), option: option.into(), resource: None, value }
}

fn lines(current: &[ConfigurationOptionSetting], wanted: &[OptionSetting]) -> Vec<String> {
    diff(current, wanted).iter().map(Change::to_string).collect()
}

#[test]
fn a_change_is_a_line_that_shows_no_secret() {
    let current = [
        set(GROUP, "MinSize", "1"),
        set(PROPERTIES, "TOKEN", "obvious-fake-1"),
        set(PROPERTIES, "MODE", "obvious-fake-2"),
        set(PROPERTIES, "SAME", "obvious-fake-3"),
        set(LAUNCH, "EC2KeyName", "obvious-fake-4"),
    ];
    let wanted = [
        want(GROUP, "MinSize", Secret::open("2")),
        want(GROUP, "MaxSize", Secret::open("4")),
        want(PROPERTIES, "TOKEN", Secret::new("obvious-fake-5")),
        want(PROPERTIES, "MODE", Secret::open("prod")),
        want(PROPERTIES, "SAME", Secret::new("obvious-fake-3")),
        want(LAUNCH, "EC2KeyName", Secret::new("obvious-fake-6")),
        want(FETCHED, "KEY", Secret::open("arn:aws:ssm:x:1:parameter/key")),
    ];
    let told = [
        "aws:autoscaling:asg/MinSize: 1 → 2",
        "aws:autoscaling:asg/MaxSize: (not set) → 4",
        "aws:elasticbeanstalk:application:environment/TOKEN: (set) → (a secret)",
        "aws:elasticbeanstalk:application:environment/MODE: (set) → prod",
        "aws:autoscaling:launchconfiguration/EC2KeyName: (set) → (a secret)",
        "aws:elasticbeanstalk:application:environmentsecrets/KEY: (not set) → arn:aws:ssm:x:1:parameter/key",
    ];
    assert_eq!(lines(&current, &wanted), told);
}

#[test]
fn what_the_platform_writes_otherwise_is_no_change() {
    let same = [
        (LAUNCH, "DisableIMDSv1", "True", "true"),
        (GROUP, "MinSize", "02", "2"),
        ("aws:ec2:vpc", "Subnets", "b, a", "a,b"),
        (LAUNCH, "SecurityGroups", "awseb-x,sg-1", "sg-1"),
        ("aws:elasticbeanstalk:application", "Application Healthcheck URL", "", ""),
    ];
    for (namespace, option, is, wanted) in same {
        let (current, wanted) = ([set(namespace, option, is)], [want(namespace, option, Secret::open(wanted))]);
        assert!(diff(&current, &wanted).is_empty(), "{option}");
    }
    // What the application reads is taken letter by letter.
    for (is, wanted) in [("True", "true"), ("2.0", "2"), ("b,a", "a,b")] {
        let wanted = [want(PROPERTIES, "A", Secret::open(wanted))];
        assert_eq!(diff(&[set(PROPERTIES, "A", is)], &wanted).len(), 1, "{is}");
    }
}

#[test]
fn one_option_of_several_resources_is_told_by_its_resource() {
    let scheduled = |resource: &str, value: &str| OptionSetting {
        resource: Some(resource.into()),
        ..want(SCHEDULED, "MinSize", Secret::open(value))
    };
    let current = ["night", "day"].map(|resource| {
        let setting = ConfigurationOptionSetting::builder().namespace(SCHEDULED).option_name("MinSize");
        setting.resource_name(resource).value(if resource == "day" { "4" } else { "1" }).build()
    });
    let wanted = [scheduled("day", "4"), scheduled("night", "2"), scheduled("noon", "5")];
    let told = [
        "aws:autoscaling:scheduledaction/MinSize of night: 1 → 2",
        "aws:autoscaling:scheduledaction/MinSize of noon: (not set) → 5",
    ];
    assert_eq!(lines(&current, &wanted), told);
}

#[test]
fn the_properties_of_live_count_too() {
    let plan = BeanstalkPlan { environment_variables: vec![("A".into(), Secret::open("x".repeat(2000)))], ..plan() };
    let live = |bytes: usize| [set(PROPERTIES, "A", &"y".repeat(3000)), set(PROPERTIES, "B", &"z".repeat(bytes))];
    assert!(fit("shop-blue", &live(2092), &plan).is_ok());
    let fault = fit("shop-blue", &live(2093), &plan).unwrap_err().to_string();
    assert!(fault.contains("would take 4097 bytes") && fault.contains("2095 bytes of its own"), "{fault}");
}

#[test]
fn a_first_environment_is_told_what_the_api_does_not_default_to() {
    let plan = BeanstalkPlan {
        instance_profile: Some("web".into()),
        environment_variables: vec![("MODE".into(), Secret::open("prod"))],
        environment_secrets: vec![("KEY".into(), "arn:aws:ssm:x:1:parameter/key".into())],
        ready_path: "/ping".into(),
        ..plan()
    };
    let options = |plan: &BeanstalkPlan| {
        let settings = first(plan).into_iter();
        let pairs = settings.map(|set| (set.option_name.unwrap_or_default(), set.value.unwrap_or_default()));
        pairs.collect::<Vec<_>>()
    };
    let pair = |option: &str, value: &str| (option.to_owned(), value.to_owned());
    let all = [
        pair("EnvironmentType", "LoadBalanced"),
        pair("LoadBalancerType", "application"),
        pair("SystemType", "enhanced"),
        pair("HealthCheckPath", "/ping"),
        pair("IamInstanceProfile", "web"),
        pair("DisableIMDSv1", "true"),
        pair("MODE", "prod"),
        pair("KEY", "arn:aws:ssm:x:1:parameter/key"),
    ];
    assert_eq!(options(&plan), all);
    let with = |namespace, option, value| {
        let option_settings = vec![want(namespace, option, Secret::open(value))];
        options(&BeanstalkPlan { option_settings, ..plan.clone() })
    };
    let single = with(ENVIRONMENT, "EnvironmentType", "SingleInstance");
    assert!(!single.iter().any(|(option, value)| option.contains("Balancer") || value == "/ping"), "{single:?}");
    assert_eq!(single.iter().filter(|(option, _)| option == "EnvironmentType").count(), 1, "{single:?}");
    let classic = with(ENVIRONMENT, "LoadBalancerType", "classic");
    assert!(classic.contains(&pair("Application Healthcheck URL", "/ping")), "{classic:?}");
    assert!(!classic.contains(&pair("LoadBalancerType", "application")), "{classic:?}");
    let basic = with("aws:elasticbeanstalk:healthreporting:system", "SystemType", "basic");
    assert!(basic.contains(&pair("SystemType", "basic")) && !basic.contains(&pair("SystemType", "enhanced")));
}
