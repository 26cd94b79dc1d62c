//! What tests leave behind, changed byte by byte.

use super::junit;
use crate::fuzz_driver::fuzz;

#[test]
fn fuzz_junit() {
    let target = |bytes: &[u8]| match junit::read(bytes) {
        Ok(counts) => {
            assert!(counts.failures.len() <= counts.failed.min(50));
            assert!(counts.failures.iter().all(|(_, message)| message.chars().count() <= 300));
        }
        Err(told) => assert!(told.starts_with("it "), "{told}"),
    };
    let nested = br#"<?xml version="1.0"?><testsuites tests="99"><testsuite name="a"><testsuite><testcase classname="C"
        name="adds"/><testcase name="s"><skipped/></testcase><testcase name="b"><error message="5 &lt; 4"/></testcase>
        <testcase name="f"><failure><![CDATA[x]]>Traceback
          assert</failure></testcase></testsuite></testsuite></testsuites>"#;
    let odd = b"<!DOCTYPE x [<!ENTITY a \"b\">]><testsuite><testcase name='&a;' failure=''/><!-- - --></testsuite>";
    fuzz(&[nested, odd], target);
}
