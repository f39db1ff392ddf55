#!/bin/sh
# One effect, told to the ledger before and after it: a line is appended by one write and is on disk before the next command
# runs. Lines of all processes are in one file, so their order in it is the order in which they happened.
#
#     effect.sh <ledger> <op> <step> <effect class> <conversation> <seconds> <crash point>
#
# A crash point is named once for each op and kills the worker whose ToolRunner started this, from outside: nothing in the
# product has to know of it. `before`: intent committed, no effect yet. `in`: half of it. `after`: done, result not committed.
ledger=$1 op=$2 step=$3 effect=$4 conversation=$5 pause=$6 crash=$7
run=$$-$(date +%s%N)

note() {
  printf '{"at":%s,"mark":"%s","run":"%s","op":"%s","step":%s,"effect":"%s","conversation":"%s","turn":"%s","key":"%s","token":%s}\n' \
    "$(date +%s%3N)" "$1" "$run" "$op" "$step" "$effect" "$conversation" \
    "$TYRUM_TURN_ID" "$TYRUM_IDEMPOTENCY_KEY" "$TYRUM_FENCING_TOKEN" |
    dd of="$ledger" bs=4096 iflag=fullblock oflag=append conv=notrunc,fsync status=none
}

crash_at() {
  [ "$crash" = "$1" ] || return 0
  # Only the first to come here crashes, or a repeated step would for ever.
  mkdir "$ledger.crash-$op-$step" 2>/dev/null || return 0
  note "crash-$1"
  # Our parent is the ToolRunner, and its parent the worker.
  kill -9 "$(cut -d' ' -f4 "/proc/$PPID/stat")"
  sleep 60
}

crash_at before
note begin
sleep "$pause"
crash_at in
note end
crash_at after
