//! `option_settings`, `environment_variables` and `environment_secrets`.

use super::*;
use crate::inputs::{BeanstalkPlan, PROPERTIES};

const SECRET_ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf";
const PARAMETER_ARN: &str = "arn:aws:ssm:eu-west-1:123456789012:parameter/shop/key";

fn site(more: &[(&str, &str)]) -> BeanstalkPlan {
    match plan(more).sites.pop() {
        Some(SitePlan::Beanstalk(site)) => site,
        None => panic!("one site"),
    }
}

/// Namespace, option and value of everything in a text.
fn options(text: &str) -> Vec<(String, String, String)> {
    let site = site(&[("BEANLINE_OPTION_SETTINGS", text)]);
    let shown = |set: crate::inputs::OptionSetting| (set.namespace, set.option, set.value.reveal().to_owned());
    site.option_settings.into_iter().map(shown).collect()
}

fn option(namespace: &str, option: &str, value: &str) -> (String, String, String) {
    (namespace.into(), option.into(), value.into())
}

#[test]
fn every_form_of_option_settings_gives_the_same() {
    let wanted =
        [option("aws:autoscaling:asg", "MinSize", "2"), option("aws:elasticbeanstalk:command", "Timeout", "900")];
    let forms = [
        r#"[{"Namespace": "aws:autoscaling:asg", "OptionName": "MinSize", "Value": "2"},
            {"Namespace": "aws:elasticbeanstalk:command", "OptionName": "Timeout", "Value": 900}]"#,
        "- namespace: aws:autoscaling:asg\n  option_name: MinSize\n  value: 2\n\
         - Namespace: aws:elasticbeanstalk:command\n  OptionName: Timeout\n  Value: '900'\n",
        "aws:autoscaling:asg:\n  MinSize: 2\naws:elasticbeanstalk:command:\n  Timeout: 900\n",
        "option_settings:\n  aws:autoscaling:asg:\n    MinSize: 2\n  aws:elasticbeanstalk:command:\n    Timeout: 900\n",
        "OptionSettings:\n- {Namespace: 'aws:autoscaling:asg', OptionName: MinSize, Value: 2}\n\
         - {Namespace: 'aws:elasticbeanstalk:command', OptionName: Timeout, Value: 900}\n",
        r#"{"aws:autoscaling:asg": {"MinSize": 2}, "aws:elasticbeanstalk:command": {"Timeout": "900"}}"#,
    ];
    for form in forms {
        assert_eq!(options(form), wanted, "{form}");
    }
}

#[test]
fn values_become_the_text_that_the_platform_wants() {
    let text = "aws:elasticbeanstalk:application:environment:\n  COUNTRY: no\n  DEBUG: True\n  MODE: 0755\n  V: 1.10\n\
                aws:elasticbeanstalk:environment:\n  LoadBalancerIsShared: True\n";
    let wanted = [
        option(PROPERTIES, "COUNTRY", "no"),
        option(PROPERTIES, "DEBUG", "True"),
        option(PROPERTIES, "MODE", "0755"),
        option(PROPERTIES, "V", "1.10"),
        option("aws:elasticbeanstalk:environment", "LoadBalancerIsShared", "true"),
    ];
    assert_eq!(options(text), wanted);
}

#[test]
fn variables_are_filled_in_and_are_secrets_unless_everybody_knows_them() {
    let text =
        "aws:elasticbeanstalk:application:environment:\n  URL: 'pg://me:${DB_PASSWORD}@db/$$x'\n  SHA: $GITHUB_SHA\n";
    let more = [("BEANLINE_OPTION_SETTINGS", text), ("DB_PASSWORD", "obvious-fake"), ("GITHUB_SHA", SHA)];
    let plan = plan(&more);
    let masks: Vec<&str> = plan.report.masks.iter().map(Secret::reveal).collect();
    assert_eq!(masks, ["obvious-fake", "pg://me:obvious-fake@db/$x"]);
    let [SitePlan::Beanstalk(site)] = plan.sites.as_slice() else { panic!("one site") };
    let [sha, url] = site.option_settings.as_slice() else { panic!("two settings") };
    assert_eq!((sha.value.reveal(), sha.value.is_masked()), (SHA, false));
    assert!(url.value.is_masked());
}

#[test]
fn what_is_wrong_is_told_by_its_place_and_without_its_value() {
    let ns = "aws:elasticbeanstalk:application:environment";
    let cases = [
        (format!("{ns}:\n  A: obvious$UNSET\n"), "wants the variable UNSET in line 2, which is not set or empty"),
        (format!("{ns}:\n  A: x\n  B: pa$fake\n"), "wants a variable in line 3 that is not set or empty"),
        (format!("{ns}:\n  A: ${{db_fake}}\n"), "wants the variable db_fake in line 2"),
        (format!("{ns}:\n  A: ${{obvious-fake\n"), "has a $ in line 2 that begins no variable"),
        (format!("{ns}:\n  A: 5$\n"), "has a $ in line 2 that begins no variable"),
        (format!("{ns}:\n  A: ''\n"), "has an environment property without a value in line 2"),
        (format!("{ns}:\n  A: obvious-fake\n  A: 2\n"), "has a key in line 3 that stood there before"),
        (format!("{ns}:\n  A: {{b: obvious-fake}}\n"), "cannot be read as YAML or JSON in line 2"),
        (format!("{ns}:\n  A:\n"), "has an option without a value in line 2"),
        ("[{\"Namespace\": \"obvious-fake".into(), "cannot be read as YAML or JSON"),
        ("obvious-fake".into(), "is neither a list nor a map"),
        (
            "- {Namespace: 'aws:autoscaling:asg', OptionNam: obvious-fake}".into(),
            "has a key in line 1 that no setting has",
        ),
        ("- {OptionName: obvious-fake, Value: 1}".into(), "has no Namespace in entry 1"),
        (
            "- {Namespace: obvious-fake, OptionName: A, Value: 1}".into(),
            "has a namespace in entry 1 that does not begin",
        ),
        ("- {Namespace: 'aws:autoscaling:asg', Value: 1}".into(), "has no OptionName in entry 1"),
        (
            "EnvironmentName: obvious-fake".into(),
            "has EnvironmentName, which is no option: leave it out; `environment`",
        ),
        (
            "aws:cloudformation:template:parameter: {AppSource: obvious-fake}".into(),
            "the application version decides it",
        ),
        ("aws:rds:dbinstance: {DBEngine: obvious-fake}".into(), "lives and dies with its environment"),
        (format!("{ns}secrets: {{A: obvious-fake}}"), "has no ARN in line 1"),
        (format!("{ns}: {{A: {}}}", "x".repeat(4095)), "makes environment properties of 4097 bytes, and 4096"),
    ];
    for (text, told) in cases {
        let problem = only_problem(&[("BEANLINE_OPTION_SETTINGS", text.as_str())]);
        assert!(problem.starts_with("BEANLINE_OPTION_SETTINGS ") && problem.contains(told), "{text}: {problem}");
        assert!(!problem.contains("obvious"), "{problem}");
        assert!(!problem.contains("fake") || problem.contains("db_fake"), "{problem}");
    }
    let twice = "- {Namespace: 'aws:autoscaling:asg', OptionName: MinSize, Value: 1}\n".repeat(2);
    let problem = only_problem(&[("BEANLINE_OPTION_SETTINGS", twice.as_str())]);
    assert!(problem.contains("has an option in entry 2 that stood there before"), "{problem}");
}

#[test]
fn one_property_is_written_in_one_place_and_has_a_value() {
    let option = "aws:elasticbeanstalk:application:environment: {MODE: prod}";
    let arn = format!("MODE={SECRET_ARN}");
    let cases: [(&[(&str, &str)], &str); 6] = [
        (
            &[("BEANLINE_OPTION_SETTINGS", option), ("BEANLINE_ENVIRONMENT_VARIABLES", "MODE=test")],
            "BEANLINE_ENVIRONMENT_VARIABLES has MODE, which option_settings sets too",
        ),
        (
            &[("BEANLINE_OPTION_SETTINGS", option), ("BEANLINE_ENVIRONMENT_SECRETS", &arn)],
            "BEANLINE_ENVIRONMENT_SECRETS has MODE, which environment_variables or option_settings sets too",
        ),
        (&[("BEANLINE_ENVIRONMENT_VARIABLES", "MODE=")], "ENVIRONMENT_VARIABLES has MODE without a value"),
        (&[("BEANLINE_ENVIRONMENT_VARIABLES", "A=1\nb2J2aW91c3g=")], "ENVIRONMENT_VARIABLES has entry 2 without"),
        (
            &[("BEANLINE_ENVIRONMENT_VARIABLES", "A"), ("A", &"x".repeat(4095))],
            "ENVIRONMENT_VARIABLES makes environment properties of 4097 bytes",
        ),
        (
            &[
                ("BEANLINE_KEY_PAIR", "day"),
                ("BEANLINE_OPTION_SETTINGS", "aws:autoscaling:launchconfiguration: {EC2KeyName: night}"),
            ],
            "BEANLINE_KEY_PAIR and aws:autoscaling:launchconfiguration/EC2KeyName in option_settings are both set",
        ),
    ];
    for (inputs, told) in cases {
        let problem = only_problem(inputs);
        assert!(problem.contains(told), "{problem}");
    }
    assert!(plan(&[("BEANLINE_ENVIRONMENT_VARIABLES", &format!("A={}", "x".repeat(4094)))]).sites.len() == 1);
}

#[test]
fn secrets_are_arns_of_a_known_form() {
    let json_key = format!("{SECRET_ARN}:password");
    let china = PARAMETER_ARN.replace("arn:aws:", "arn:aws-cn:");
    let text = format!("DB={SECRET_ARN}\nPASSWORD = {json_key}\nKEY={china}");
    let secrets = site(&[("BEANLINE_ENVIRONMENT_SECRETS", &text)]).environment_secrets;
    let pair = |name: &str, arn: &str| (name.to_owned(), arn.to_owned());
    assert_eq!(secrets, [pair("DB", SECRET_ARN), pair("PASSWORD", &json_key), pair("KEY", &china)]);
    let cases = [
        ("obvious-fake".to_owned(), "has no KEY=ARN in line 1"),
        ("A=obvious-fake".to_owned(), "has no ARN in line 1"),
        (format!("A={SECRET_ARN}:"), "has an ARN that ends with a colon in line 1"),
        (format!("A={SECRET_ARN}:b:c"), "of neither a secret nor a parameter in line 1"),
        (format!("A={PARAMETER_ARN}:b"), "with a JSON key, which only secrets have in line 1"),
        (format!("A={}", SECRET_ARN.replace("123456789012", "1234")), "account of twelve digits in line 1"),
        (format!("A={SECRET_ARN}\nA={PARAMETER_ARN}"), "has a key in line 2 that stood there before"),
        ("A=arn:aws:s3:eu-west-1:123456789012:bucket".to_owned(), "of neither a secret nor a parameter"),
    ];
    for (text, told) in cases {
        let problem = only_problem(&[("BEANLINE_ENVIRONMENT_SECRETS", text.as_str())]);
        assert!(problem.contains(told) && !problem.contains("obvious-fake"), "{problem}");
    }
}

#[test]
fn a_test_run_does_not_need_the_variables() {
    let text = "aws:elasticbeanstalk:application:environment: {A: $KEPT_FROM_FORKS}";
    let more = [("BEANLINE_RUN", "test"), ("BEANLINE_CONTEXT", "/nowhere/app"), ("BEANLINE_OPTION_SETTINGS", text)];
    assert!(problems(&more).is_empty());
}
