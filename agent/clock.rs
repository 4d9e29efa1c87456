//! The agent's one clock: nanoseconds since boot, suspended time included.
//!
//! Leases are measured with it because it neither jumps with the wall clock nor stands still in suspend.

use nix::time::{ClockId, clock_gettime};

/// `CLOCK_BOOTTIME` in nanoseconds. Comparable between all processes of one kernel, and with nothing else.
pub fn boottime_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("every Linux since 2.6.39 has CLOCK_BOOTTIME");
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}
