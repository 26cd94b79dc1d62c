//! Places an image is deployed to: a closed set of kinds, one directory each.

pub mod beanstalk;

use beanstalk::Beanstalk;

/// One place, ready to be deployed to.
pub enum Site {
    /// AWS Elastic Beanstalk.
    Beanstalk(Beanstalk),
}
