//! A fresh environment gets the version: a candidate with live's settings, or the first one.

use super::bundle::Bundle;
use super::environment::Request;
use super::{Beanstalk, ImageToDeploy, Survey};
use crate::engine::StageCx;
use crate::fault::Fault;

impl Beanstalk {
    /// Makes what the deployment needs, and asks for its environment.
    pub(super) async fn make(
        &self,
        cx: &StageCx,
        survey: &Survey,
        image: &ImageToDeploy,
        bundle: &Bundle,
    ) -> Result<Request, Fault> {
        if !survey.application_exists {
            self.make_application(cx).await?;
        }
        self.make_version(cx, image, bundle).await?;
        let template = match &survey.live {
            Some(live) => Some(self.make_template(cx, live).await?),
            None => None,
        };
        let made = self.make_environment(cx, survey, template.as_deref()).await;
        if let Some(template) = template {
            self.drop_template(cx, template).await?;
        }
        made
    }
}
