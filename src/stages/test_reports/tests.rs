//! Which files of a container are reports, by the tar file that they come in.

use std::io;

use super::*;

const GOOD: &str = "<testsuite><testcase name='a'/></testsuite>";
const BAD: &str = "<testsuite><testcase name='b'><failure message='no'/></testcase></testsuite>";

/// A tar file as the daemon makes it: names begin with the last part of the path that was asked for.
fn tar_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

/// The reports that were found at a path, and what was wrong with them.
fn found(path: &str, root: &str, files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let wanted = Wanted::at(path);
    assert_eq!(wanted.root, root, "{path}");
    match wanted.read(&mut tar_of(files).as_slice(), &BTreeSet::new()) {
        Found::Reports(reports, found) => {
            assert_eq!(found, reports.read.len());
            (reports.read.iter().cloned().collect(), reports.damaged)
        }
        Found::Link(to) => panic!("a link to {to}"),
    }
}

#[test]
fn paths_begin_in_the_working_directory() {
    assert_eq!(absolute("/app", "reports/junit.xml"), "/app/reports/junit.xml");
    assert_eq!(absolute("/app/", "./target//x/"), "/app/target/x");
    assert_eq!((absolute("/", "x"), absolute("/app", "/x/*.xml")), ("/x".into(), "/x/*.xml".into()));
}

#[test]
fn a_file_is_read_whatever_it_is_called() {
    assert_eq!(found("/app/junit", "/app/junit", &[("junit", GOOD)]).0, ["/app/junit"]);
    let (read, damaged) = found("/app/junit", "/app/junit", &[("junit", "not a report")]);
    assert_eq!(read, ["/app/junit"]);
    assert_eq!(damaged, ["the test report /app/junit could not be read to its end: it has no test suite"]);
}

#[test]
fn in_a_directory_what_is_xml_and_a_report_is_read() {
    let files = [
        ("reports/TEST-a.xml", GOOD),
        ("reports/deep/TEST-b.xml", BAD),
        ("reports/testng-results.xml", "<testng-results/>"),
        ("reports/notes.txt", GOOD),
        ("reports/TEST-c.xml", "<testsuite><testcase"),
    ];
    let (read, damaged) = found("/app/reports", "/app/reports", &files);
    assert_eq!(read, ["/app/reports/TEST-a.xml", "/app/reports/TEST-c.xml", "/app/reports/deep/TEST-b.xml"]);
    assert!(
        damaged[0].starts_with("the test report /app/reports/TEST-c.xml could not be read to its end: it is damaged")
    );
}

#[test]
fn a_pattern_is_looked_for_below_its_plain_part() {
    let files = [
        ("app/core/target/surefire-reports/TEST-a.xml", GOOD),
        ("app/web/target/surefire-reports/TEST-b.xml", GOOD),
        ("app/web/target/surefire-reports/deep/TEST-c.xml", GOOD),
        ("app/web/pom.xml", "<project/>"),
    ];
    let expected = ["/app/core/target/surefire-reports/TEST-a.xml", "/app/web/target/surefire-reports/TEST-b.xml"];
    assert_eq!(found("/app/**/surefire-reports/*.xml", "/app", &files).0, expected);
    assert_eq!(found("/app/*/target/surefire-reports/TEST-?.xml", "/app", &files).0, expected);
    assert_eq!(found("/app/{core,x}/**", "/app", &files).0, expected[..1]);
    assert_eq!(found("/*/junit.xml", "/", &[("app/junit.xml", GOOD)]).0, ["/app/junit.xml"]);
}

#[test]
fn a_report_that_two_paths_meet_counts_once() {
    let tar = tar_of(&[("reports/a.xml", BAD)]);
    let Found::Reports(mut once, 1) = Wanted::at("/reports").read(&mut tar.as_slice(), &BTreeSet::new()) else {
        panic!()
    };
    let Found::Reports(twice, 1) = Wanted::at("/reports/*.xml").read(&mut tar.as_slice(), &once.read) else { panic!() };
    once.merge(*twice);
    assert_eq!(once.tally.located(|_| None).failed, 1);
}

#[test]
fn a_link_is_followed_and_its_reports_keep_their_name() {
    let mut tar = tar::Builder::new(Vec::new());
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    tar.append_link(&mut link, "reports", "../out/reports").unwrap();
    let tar = tar.into_inner().unwrap();
    let wanted = Wanted::at("/app/reports");
    let Found::Link(to) = wanted.read(&mut tar.as_slice(), &BTreeSet::new()) else { panic!("no link") };
    let behind = wanted.led_to(&to);
    assert_eq!(behind.root, "/out/reports");
    let tar = tar_of(&[("reports/a.xml", GOOD)]);
    let Found::Reports(reports, 1) = behind.read(&mut tar.as_slice(), &BTreeSet::new()) else { panic!("nothing") };
    assert_eq!(reports.read.iter().collect::<Vec<_>>(), ["/app/reports/a.xml"]);
}

#[test]
fn a_tar_file_that_breaks_off_costs_a_warning() {
    let tar = tar_of(&[("reports/a.xml", GOOD), ("reports/b.xml", &" ".repeat(5000))]);
    let mut broken = io::Read::take(tar.as_slice(), 3000);
    let Found::Reports(reports, 1) = Wanted::at("/reports").read(&mut broken, &BTreeSet::new()) else { panic!() };
    assert!(reports.damaged[0].starts_with("not everything at /reports could be looked at"), "{:?}", reports.damaged);
}

#[test]
fn of_very_many_reports_so_many_are_read_and_the_first_damaged_ones_are_named() {
    let names: Vec<String> = (0..=MOST_REPORTS).map(|number| format!("reports/{number}.xml")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), "<testsuite><testcase name='a'/>")).collect();
    let tar = tar_of(&files);
    let wanted = Wanted::at("/reports");
    let Found::Reports(mut all, MOST_REPORTS) = wanted.read(&mut tar.as_slice(), &BTreeSet::new()) else { panic!() };
    assert!(all.is_cut_off && all.read.len() == MOST_REPORTS);
    assert_eq!((all.damaged.len(), all.more_damaged), (DAMAGED_NAMED, MOST_REPORTS - DAMAGED_NAMED));
    let one = tar_of(&[("more/a.xml", BAD)]);
    let Found::Reports(more, 0) = Wanted::at("/more").read(&mut one.as_slice(), &all.read) else { panic!() };
    assert!(more.is_cut_off && more.tally.is_empty());
    all.merge(*more);
    assert_eq!(all.tally.located(|_| None).passed, MOST_REPORTS);
}
