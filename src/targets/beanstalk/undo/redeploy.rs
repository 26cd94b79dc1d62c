//! Live, which was updated in place, gets the version back that it ran before.

use tokio::time::Instant;

use super::super::call::{ApiError, again, looked_up};
use super::super::operation::Kind;
use super::super::platform::{Environment, Status};
use super::super::verdict::is_trouble;
use super::super::{Beanstalk, Live, wait};
use super::BUSY_LIMIT;
use crate::engine::in_words;
use crate::engine::retry::pause;
use crate::engine::undo::Receipt;
use crate::fault::Fault;

/// What is to be put back.
pub struct Redeployment<'a> {
    /// The application.
    pub application: &'a str,
    /// The environment's name.
    pub name: &'a str,
    /// Its id.
    pub id: &'a str,
    /// The version that it ran before.
    pub label: &'a str,
    /// The version that the run gave it.
    pub instead_of: &'a str,
}

impl Redeployment<'_> {
    /// Puts the version back on all instances, unless it is there.
    pub async fn perform(&self, site: &Beanstalk, receipt: &Receipt) -> Result<(), Fault> {
        // From here on no run goes on with the update. If it cannot be written, the next run finds what is so now.
        let _ = site.write(|work| work.site.update = None).await;
        let sent = site.sent_update.borrow().clone();
        if let Some(sent) = &sent {
            // What was sent may begin although nobody waits for it any more; what it comes to is looked at next.
            looked_up(None, "DescribeEvents", async |_| site.deployment_has_begun(sent).await).await?;
        }
        let now = self.at_rest(site).await?;
        if now.version_label != self.label && now.version_label != self.instead_of {
            return Err(Fault::new(format!("environment {} runs version {} by now", self.name, now.version_label))
                .cause("somebody else has deployed since, which is not undone"));
        }
        if now.version_label == self.label && self.is_everywhere(site, &now).await? {
            return Ok(());
        }
        self.is_deployable(site).await?;
        let operation = site.ask_for_version(None, &Live::of(&now), self.label).await?;
        receipt.taken();
        wait::conclude(&site.watcher, None, &operation, &site.demand(), site.plan.deploy_timeout).await?;
        site.sent_update.replace(None);
        Ok(())
    }

    /// The environment once it is Ready. An update that is under way is aborted, where it can be: what it would bring is
    /// taken away again anyway.
    async fn at_rest(&self, site: &Beanstalk) -> Result<Environment, Fault> {
        let (began, mut aborted) = (Instant::now(), false);
        loop {
            let now = site.look(None, self.id).await?.filter(|now| !now.status.is_ending());
            let Some(now) = now else {
                return Err(Fault::new(format!("environment {} is gone", self.name)));
            };
            if now.status == Status::Ready {
                return Ok(now);
            }
            if began.elapsed() >= BUSY_LIMIT {
                let time = in_words(BUSY_LIMIT);
                return Err(Fault::timed_out(format!("environment {} was not Ready within {time}", self.name)));
            }
            // Somebody else's version is not ours to stop.
            let is_ours = [self.label, self.instead_of].contains(&now.version_label.as_str());
            if now.abortable && is_ours && !aborted {
                site.abort_update(None, self.id).await?;
                aborted = true;
            }
            pause(site.pace.interval(began.elapsed())).await;
        }
    }

    /// Whether every instance runs the version that the environment shows. With basic health its last update tells.
    async fn is_everywhere(&self, site: &Beanstalk, now: &Environment) -> Result<bool, Fault> {
        let instances = match now.is_enhanced() {
            true => again(None, "DescribeInstancesHealth", async || site.api.instances(self.id).await).await?,
            false => None,
        };
        if let Some(instances) = instances {
            return Ok(!instances.is_empty() && instances.iter().all(|instance| instance.runs(self.label)));
        }
        let newest_first = again(None, "DescribeEvents", async || site.api.newest_events(self.id).await).await?;
        let update = Kind::Update { label: self.label.to_owned() };
        let since = newest_first.iter().take_while(|event| !event.message.starts_with(update.beginning()));
        Ok(since.clone().any(|event| event.message.starts_with(update.success())) && !since.clone().any(is_trouble))
    }

    /// Whether the version and its bundle are still there: without them a person has to choose another one.
    async fn is_deployable(&self, site: &Beanstalk) -> Result<(), Fault> {
        let gone = |what: String| {
            Fault::new(format!("version {} cannot be redeployed: {what}", self.label))
                .hint(format!("deploy another version to {}, so that all its instances run the same", self.name))
        };
        let ask = async || site.api.version(self.application, self.label).await;
        let Some(version) = again(None, "DescribeApplicationVersions", ask).await? else {
            return Err(gone(format!("application {} does not have it any more", self.application)));
        };
        match site.api.has_object(&version.bucket, &version.key).await {
            Ok(false) => Err(gone(format!("its bundle s3://{}/{} is gone", version.bucket, version.key))),
            // Who may not look can still redeploy.
            Ok(true) | Err(ApiError { .. }) => Ok(()),
        }
    }
}
