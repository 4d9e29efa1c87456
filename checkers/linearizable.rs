//! Is there an order of the ops that respects real time and that the object could have produced?
//!
//! The parts, each usable alone: [`spec`] (what an object does), [`objects`] (the ones we know), [`engine`]
//! (decide one partition), [`replay`], [`oracle`] and [`reference`] (check the answer), [`explain`] (say why not).

pub mod dfs;
pub mod hash;
pub mod memo;
pub mod objects;
pub mod oracle;
pub mod preprocess;
pub mod reference;
pub mod register;
pub mod replay;
pub mod spec;
