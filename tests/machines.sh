#!/usr/bin/env bash
# The whole suite as on other machines, one setting after the other; a line each, and where the log is.
#
#   tests/machines.sh                   all settings, two hours or more
#   tests/machines.sh busy one-core     these
#   PYTEST_ADDOPTS=tests/web tests/machines.sh    these tests
set -uo pipefail
cd "$(dirname "$0")/.."

SETTINGS=(as-here rounding-default rounding-avx2 onednn-avx2 empty-home signals-ignored seed-1 seed-2 one-core busy)
folder=$(mktemp -d /tmp/d3s.XXXXXX)  # short, as paths of sockets must be
loops=()
end_loops() {
    for loop in ${loops[@]+"${loops[@]}"}; do kill "$loop"; done
    loops=()
}
trap end_loops EXIT

suite() { .venv/bin/python -m pytest --numprocesses logical --maxprocesses 8 --dist worksteal "$@"; }

under() {
    case $1 in
        as-here) suite ;;
        rounding-default) ATEN_CPU_CAPABILITY=default suite ;;
        rounding-avx2) ATEN_CPU_CAPABILITY=avx2 suite ;;
        onednn-avx2) ONEDNN_MAX_CPU_ISA=AVX2 suite ;;
        empty-home)
            mkdir "$folder/home" "$folder/tmp"
            HOME=$folder/home TMPDIR=$folder/tmp D3S_VOT_SHARED=/nowhere suite
            ;;
        signals-ignored) (trap '' INT HUP && suite) ;; # as in a script's background job, and by nohup
        seed-*) suite --randomly-seed="${1#seed-}" ;;
        one-core) taskset -c 0 .venv/bin/python -m pytest ;;
        busy)
            for _ in $(seq "$(nproc)"); do
                while :; do :; done &
                loops+=("$!")
            done
            suite
            local code=$?
            end_loops
            return "$code"
            ;;
        *)
            echo "there is no setting $1; choose among ${SETTINGS[*]}"
            return 2
            ;;
    esac
}

failed=0
for setting in "${@:-"${SETTINGS[@]}"}"; do
    begun=$SECONDS
    if under "$setting" > "$folder/$setting.log" 2>&1 < /dev/null; then outcome=passed; else outcome=FAILED failed=1; fi
    echo "$setting: $outcome in $((SECONDS - begun)) s, $(tail -n 1 "$folder/$setting.log") ($folder/$setting.log)"
done
exit "$failed"
