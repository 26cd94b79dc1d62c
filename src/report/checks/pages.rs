//! Which annotations go with which request: GitHub takes fifty, and refuses them all for one that it does not like,
//! without saying which.

use std::ops::Range;

/// Annotations that GitHub takes with one request; it appends those of the next.
const PAGE: usize = 50;

/// After so many refusals the rest is not sent: each is a request, and the verdict matters more.
const REFUSALS: usize = 3;

/// How far the annotations of one check run are sent.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    done: usize,
    /// How many of those GitHub has.
    taken: usize,
    /// What was sent last, when no answer came to it.
    unanswered: Option<Range<usize>>,
    /// Up to here they go in parts of `half`, since all of them together were refused.
    halved_until: usize,
    half: usize,
    refusals: usize,
}

impl Pages {
    /// Those that go with the next request, when there are `all`.
    pub fn next(&self, all: usize) -> Range<usize> {
        if self.refusals >= REFUSALS || self.done >= all {
            return all..all;
        }
        let end = match self.done < self.halved_until {
            true => (self.done + self.half).min(self.halved_until),
            false => self.done + PAGE,
        };
        self.done..end.min(all)
    }

    /// GitHub has these, which must not be sent again: it appends.
    pub fn taken(&mut self, page: &Range<usize>) {
        self.taken += page.len();
        self.done = self.done.max(page.end);
    }

    /// These were sent, and nobody knows whether GitHub took them.
    pub fn unanswered(&mut self, page: Range<usize>) {
        self.unanswered = Some(page);
    }

    /// Whether somebody has to ask how many GitHub has, before any are sent again.
    pub fn are_in_doubt(&self) -> bool {
        self.unanswered.is_some()
    }

    /// GitHub has so many.
    pub fn counted(&mut self, count: usize) {
        if let Some(page) = self.unanswered.take()
            && count >= self.taken + page.len()
        {
            self.taken(&page);
        }
    }

    /// GitHub refused these: a page is sent again in halves, and a half is given up.
    pub fn refused(&mut self, page: &Range<usize>) {
        self.refusals += 1;
        if page.end <= self.halved_until || page.len() < 2 {
            self.done = page.end;
        } else {
            (self.halved_until, self.half) = (page.end, page.len().div_ceil(2));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pages;

    /// Sends `all` to a GitHub that dislikes `bad`: how many it gets, and in how many requests.
    fn sent(all: usize, bad: &[usize]) -> (usize, usize) {
        let (mut pages, mut taken, mut requests) = (Pages::default(), 0, 0);
        loop {
            let page = pages.next(all);
            requests += 1;
            if bad.iter().any(|bad| page.contains(bad)) {
                pages.refused(&page);
                continue;
            }
            pages.taken(&page);
            taken += page.len();
            if page.end >= all {
                return (taken, requests);
            }
        }
    }

    #[test]
    fn a_bad_one_takes_half_a_page_with_it_and_many_bad_ones_cost_few_requests() {
        assert_eq!(sent(0, &[]), (0, 1));
        assert_eq!(sent(200, &[]), (200, 4));
        assert_eq!(sent(200, &[3]), (175, 6));
        assert_eq!(sent(9, &[8]), (5, 4), "the last goes without any");
        assert_eq!(sent(1, &[0]), (0, 2));
        let all: Vec<usize> = (0..200).collect();
        assert_eq!(sent(200, &all), (0, 4));
        assert_eq!(sent(200, &[60, 160]), (125, 7), "given up after the third refusal");
    }
}
