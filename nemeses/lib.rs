//! nemeses
