//! Right after a run that was killed: what it left at its site, put right before anybody else comes.

use super::Beanstalk;
use super::call::again;
use super::journal::SiteJournal;
use crate::engine::StageCx;
use crate::fault::Fault;

impl Beanstalk {
    /// Undoes what earlier runs of our own CI job, or `run` itself, left in the middle here, and removes what they could
    /// not. Where the journal names none of them, nothing is asked for.
    ///
    /// # Errors
    /// The platform cannot be asked, or the site is another run's: that one puts it right.
    pub async fn put_right_after(&self, cx: &StageCx, run: Option<&str>) -> Result<(), Fault> {
        let known = again(Some(cx), "DescribeApplications", async || self.api.applications().await).await?;
        if !known.contains(&self.plan.application) {
            return Ok(());
        }
        let surveyed = self.survey_what_is_there(cx).await?;
        let Some(journal) = self.glance(cx, &surveyed).await else { return Ok(()) };
        if !is_named(&journal, self.context.job.as_deref(), run) {
            return Ok(());
        }
        let taken = self.take_turn(cx, &surveyed).await.map(drop);
        let closed = self.close(&[], true).await;
        taken.and(closed)
    }
}

/// Whether a run of the job, or `run`, stands in the line, was at work, or left something.
fn is_named(journal: &SiteJournal, job: Option<&str>, run: Option<&str>) -> bool {
    let is_it = |known: &[String]| run.is_some_and(|run| known.iter().any(|known| known == run));
    let in_line = journal.line.iter().any(|claim| {
        let same_job = job.is_some() && claim.job.as_deref() == job;
        same_job || run == Some(claim.run.as_str())
    });
    in_line
        || journal.work.as_ref().is_some_and(|work| is_it(&work.runs))
        || journal.left.iter().any(|left| is_it(&left.runs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::journal::Claim;

    #[test]
    fn a_site_is_taken_for_our_own_job_alone() {
        let claim = |run: &str, job: &str| Claim {
            ticket: 1,
            run: run.into(),
            job: Some(job.into()),
            url: None,
            about: String::new(),
            expires: 0,
        };
        let mut journal = SiteJournal::default();
        assert!(!is_named(&journal, Some("job"), Some("killed")));
        journal.line.push(claim("killed", "job"));
        assert!(is_named(&journal, Some("job"), None), "the same job");
        assert!(is_named(&journal, None, Some("killed")), "the run itself");
        assert!(!is_named(&journal, Some("other"), Some("another")), "somebody else's is theirs");
        assert!(!is_named(&journal, None, None));
    }
}
