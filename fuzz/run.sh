#!/bin/sh
# Runs every target in turn for some seconds each and prints a table row for each: ./run.sh SECONDS [TARGET…]
set -u
seconds=${1:?seconds for each target}
shift
here=$(cd "$(dirname "$0")" && pwd)
targets=${*:-$(ls "$here/targets" | sed 's/\.rs$//')}
cd "$here" || exit 1
for t in $targets; do
    mkdir -p "corpus/$t" "seeds/$t"
    log=$(mktemp)
    RUSTC_BOOTSTRAP=1 nice -n 19 ${CARGO_FUZZ:-cargo fuzz} run --fuzz-dir . -s none "$t" "corpus/$t" "seeds/$t" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=512 -dict=words.dict \
        -print_final_stats=1 >"$log" 2>&1
    code=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    rss=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")
    echo "| $t | ${runs:-?} | ${rss:-?} | $code | $(date -u +%FT%H:%MZ) | $(git rev-parse --short HEAD) |"
    if [ "$code" -ne 0 ]; then
        tail -n 60 "$log"
    fi
    rm -f "$log"
done
