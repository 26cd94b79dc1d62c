//! A deployment as the engine runs it, and what it said.

use super::*;

/// What a deployment came to: its standing or fault, what the run would undo, and what it said.
pub struct Told {
    pub standing: Result<Standing, String>,
    pub undo: Vec<Undo>,
    pub said: Vec<String>,
    pub deployed: Option<Deployed>,
}

/// Asks and deploys, as the check stage and the deploy stage do.
pub async fn deploy(site: &Beanstalk) -> Told {
    let (sender, mut receiver) = events();
    let engine = Engine::new(sender, Cancel::never(), Rc::new(|_, _| Box::pin(async { Ok(()) })));
    let work = async |cx: &StageCx| {
        let survey = site.survey(cx).await?;
        site.deploy(cx, &survey, &image()).await
    };
    let deployed = engine.stage(Stage::Deploy, Duration::from_secs(3600), work).await.ok();
    let undo = engine.pending();
    drop(engine);
    let (mut said, mut why) = (Vec::new(), String::new());
    while let Some(event) = receiver.next().await {
        match event.kind {
            EventKind::StageNote { text, .. } | EventKind::StageWarning { text, .. } => said.push(text),
            EventKind::StageFinished { outcome: Outcome::Failed(fault), .. } => why = fault.to_string(),
            _ => {}
        }
    }
    let standing = deployed.as_ref().map(|deployed| deployed.candidate.standing).ok_or(why);
    Told { standing, undo, said, deployed }
}

/// Fails unless the deployment said this.
#[track_caller]
pub fn says(told: &Told, text: &str) {
    assert!(told.said.iter().any(|said| said.contains(text)), "`{text}` is missing in {:#?}", told.said);
}

/// Undoes what the deployment would have undone.
pub async fn undo(site: &Beanstalk, told: &Told) -> Result<(), String> {
    for undo in &told.undo {
        site.perform(undo, &Receipt::default()).await.map_err(|fault| fault.to_string())?;
    }
    Ok(())
}
