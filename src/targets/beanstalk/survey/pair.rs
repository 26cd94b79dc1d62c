//! Live and the idle environment that stands beside it.

use super::super::call::again;
use super::super::clean_up::LIVE_TAG;
use super::super::platform::Environment;
use super::super::{Beanstalk, live, settings};
use super::{Live, Survey, Surveyor};
use crate::fault::Fault;

impl Beanstalk {
    pub(super) async fn survey_pair(
        &self,
        by: &Surveyor<'_>,
        environments: &[Environment],
        application_exists: bool,
    ) -> Result<Survey, Fault> {
        let survey = self.survey_blue_green(by, environments, application_exists).await?;
        let Some(live) = &survey.live else { return Ok(survey) };
        // Looked at again where live was waited for.
        let environments = self.all_environments(by).await?;
        let Some(idle) = self.idle(by, &environments, live).await? else {
            by.note(format!(
                "there is no other environment beside {}: {} will be made, and stays as the other one of the pair",
                live.name, survey.candidate_name
            ));
            return Ok(survey);
        };
        if self.has_waited_for(by, idle).await? {
            // Live may be busy or elsewhere by now.
            let environments = self.all_environments(by).await?;
            return Box::pin(self.survey_pair(by, &environments, application_exists)).await;
        }
        let ask = async || self.api.settings(&idle.application, &idle.name).await;
        let settings = again(Some(by.cx), "DescribeConfigurationSettings", ask).await?;
        live::refuse_database(&idle.name, &settings)?;
        settings::fit(&idle.name, &settings, &self.plan)?;
        let (name, version) = (&idle.name, &idle.version_label);
        by.note(format!("{name} is the idle one of the pair, with version {version}: it is updated, and then swapped"));
        Ok(Survey { update: Some(Live::of(idle)), architectures: self.architectures(&settings), ..survey })
    }

    /// The environment that stands beside live: the one that was live before, by the journal; else the one that is
    /// tagged so; else the only other one. One that is tagged as standing beside another live is not meant.
    ///
    /// # Errors
    /// Several may be meant, or there is none and none may be made.
    async fn idle<'a>(
        &self,
        by: &Surveyor<'_>,
        environments: &'a [Environment],
        live: &Live,
    ) -> Result<Option<&'a Environment>, Fault> {
        let (mut others, mut tagged) = (Vec::new(), Vec::new());
        for environment in environments.iter().filter(|e| is_candidate(e, &self.plan.application, live)) {
            match self.stands_beside(by, environment).await {
                Some(cname) if cname == live.cname => tagged.push(environment),
                Some(_) => continue,
                None => {}
            }
            others.push(environment);
        }
        let previous = self.previous_of(live).await;
        let known = others.iter().find(|e| previous.as_ref().is_some_and(|p| p.environment_id == e.id));
        match (known, tagged.as_slice(), others.as_slice()) {
            (Some(one), ..) | (None, [one], _) | (None, [], [one]) => Ok(Some(one)),
            (None, [], []) if self.plan.create => Ok(None),
            (None, [], []) => Err(nobody(live)),
            _ => Err(several(&others, live, &self.region)),
        }
    }

    /// The live CNAME that an environment is tagged as standing beside.
    async fn stands_beside(&self, by: &Surveyor<'_>, environment: &Environment) -> Option<String> {
        match again(Some(by.cx), "ListTagsForResource", async || self.api.tags(&environment.arn).await).await {
            Ok(tags) => tags.into_iter().find(|(key, _)| key == LIVE_TAG).map(|(_, cname)| cname),
            Err(fault) => {
                by.note(format!("the tags of {} cannot be read: {fault}", environment.name));
                None
            }
        }
    }
}

/// A standing web environment of the application that is not live.
fn is_candidate(environment: &Environment, application: &str, live: &Live) -> bool {
    environment.application == application
        && environment.id != live.environment_id
        && !environment.status.is_ending()
        && live::check_tier(environment).is_ok()
}

fn nobody(live: &Live) -> Fault {
    Fault::new(format!("there is no second environment beside {}, which is live", live.name))
        .cause("strategy=pair updates the idle one of two standing web environments, and swaps")
        .hint("set create=true to have it made from live's settings, or strategy=blue-green")
}

fn several(others: &[&Environment], live: &Live, region: &str) -> Fault {
    let arn = others.first().map_or("", |environment| environment.arn.as_str());
    Fault::new(format!("which environment is the idle one beside {} is not clear", live.name))
        .cause(format!("these could be meant: {}", live::listed(others)))
        .hint(format!(
            "tag the one that is meant, and no other, for example: aws elasticbeanstalk update-tags-for-resource \
             --region {region} --resource-arn {arn} --tags-to-add Key={LIVE_TAG},Value={}",
            live.cname
        ))
}

#[cfg(test)]
mod tests {
    use super::super::super::platform::Status;
    use super::super::super::verdict::tests::environment;
    use super::*;
    use crate::inputs::Health;

    #[test]
    fn the_idle_one_is_another_standing_web_environment_of_the_application() {
        let seen = |id: &str, status| Environment { id: id.into(), ..environment(status, "1", Health::Green) };
        let live = Live::of(&seen("e-live", Status::Ready));
        let idle = seen("e-idle", Status::Ready);
        let worker = Environment { tier: "Worker".into(), ..idle.clone() };
        let foreign = Environment { application: "other".into(), ..idle.clone() };
        let gone = seen("e-gone", Status::Terminating);
        for (environment, counts) in [
            (&idle, true),
            (&worker, false),
            (&foreign, false),
            (&gone, false),
            (&seen("e-live", Status::Ready), false),
        ] {
            assert_eq!(is_candidate(environment, "shop", &live), counts, "{environment:?}");
        }
    }

    #[test]
    fn what_is_not_clear_names_the_command_that_decides() {
        let one = Environment { arn: "arn:1".into(), ..environment(Status::Ready, "1", Health::Green) };
        let live = Live { cname: "shop.eu-west-1.elasticbeanstalk.com".into(), ..Live::of(&one) };
        let fault = several(&[&one, &one], &live, "eu-west-1");
        assert!(fault.to_string().contains("these could be meant: shop-1 (shop-1.eu-west-1"), "{fault}");
        assert!(fault.hints()[0].contains("--resource-arn arn:1 --tags-to-add Key=beanline:live,Value=shop.eu-west-1"));
        assert!(nobody(&live).hints()[0].contains("create=true"));
    }
}
