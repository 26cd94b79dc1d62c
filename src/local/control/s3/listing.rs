//! ListObjectsV2 as a pure function: which keys and common prefixes a page of a listing has.

use super::store::ObjectFacts;

/// What ListObjectsV2 was asked (API reference: `prefix`, `delimiter`, `start-after`, `max-keys`).
#[derive(Debug, Default)]
pub(super) struct Question<'a> {
    pub prefix: &'a str,
    pub delimiter: &'a str,
    /// Only what sorts after this; a continuation token is the last thing of the page before.
    pub after: &'a str,
    pub limit: usize,
}

/// One page of a listing.
#[derive(Debug, Default)]
pub(super) struct Page<'a> {
    pub objects: Vec<&'a ObjectFacts>,
    pub prefixes: Vec<&'a str>,
    /// The last thing on this page, when more follows.
    pub more_after: Option<&'a str>,
}

impl Question<'_> {
    /// Answers out of all objects of a bucket, which come in the order of their keys.
    pub fn answer<'a>(&self, all: &'a [ObjectFacts]) -> Page<'a> {
        let mut page = Page::default();
        let mut last = None;
        for facts in all {
            let Some(rest) = facts.key.strip_prefix(self.prefix) else { continue };
            let group = match rest.find(self.delimiter) {
                Some(at) if !self.delimiter.is_empty() => {
                    Some(&facts.key[..self.prefix.len() + at + self.delimiter.len()])
                }
                _ => None,
            };
            let name = group.unwrap_or(&facts.key);
            if name <= self.after || last == Some(name) {
                continue;
            }
            if page.objects.len() + page.prefixes.len() == self.limit {
                page.more_after = last;
                return page;
            }
            last = Some(name);
            match group {
                Some(prefix) => page.prefixes.push(prefix),
                None => page.objects.push(facts),
            }
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects() -> Vec<ObjectFacts> {
        let object = |key| {
            serde_json::from_value(serde_json::json!({
                "key": key, "etag": "", "size": 0, "modified": "2026-01-01T00:00:00Z", "metadata": {}, "body": "",
            }))
        };
        ["a.zip", "app/1.zip", "app/2.zip", "app2/1.zip", "b.zip"].map(object).map(Result::unwrap).into()
    }

    fn names<'a>(page: &Page<'a>) -> (Vec<&'a str>, Vec<&'a str>) {
        (page.objects.iter().map(|facts| facts.key.as_str()).collect(), page.prefixes.clone())
    }

    #[test]
    fn keys_behind_a_delimiter_are_one_prefix() {
        let all = objects();
        let page = Question { delimiter: "/", limit: 10, ..Question::default() }.answer(&all);
        assert_eq!(names(&page), (vec!["a.zip", "b.zip"], vec!["app/", "app2/"]));
        let page = Question { prefix: "app/", delimiter: "/", limit: 10, ..Question::default() }.answer(&all);
        assert_eq!(names(&page), (vec!["app/1.zip", "app/2.zip"], vec![]));
        assert!(page.more_after.is_none());
    }

    #[test]
    fn pages_follow_one_another_without_gap_or_repetition() {
        let all = objects();
        let (mut seen, mut after) = (Vec::new(), "");
        loop {
            let page = Question { delimiter: "/", after, limit: 1, ..Question::default() }.answer(&all);
            let (objects, prefixes) = names(&page);
            seen.extend(objects.into_iter().chain(prefixes));
            match page.more_after {
                Some(last) => after = last,
                None => break,
            }
        }
        assert_eq!(seen, ["a.zip", "app/", "app2/", "b.zip"]);
    }
}
