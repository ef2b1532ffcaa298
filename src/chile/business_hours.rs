//! When promotions may leave, in local time.
use serde::{Deserialize, Serialize};
/// placeholder to be written by the chile slice
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BusinessHours {}
