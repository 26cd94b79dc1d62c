//! The world builder: a directory, a local cloud of its own, a GitHub, and an application to ship.

mod app;
mod cloud;
mod github;
mod process;
mod reference_registry;
mod service_images;
mod token_front;
mod world;

pub use app::App;
pub use github::{check_runs, conclusions, open_check_runs};
pub use process::{Run, Running};
pub use reference_registry::ReferenceRegistry;
pub use service_images::ServiceImages;
pub use token_front::TokenFront;
pub use world::{World, docker};
