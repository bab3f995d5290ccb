#!/usr/bin/env bash
# What parts of the training are worth: the full networks and those without one part each, trained with several seeds, exported and
# compared. Called again, it goes on where it was. 'make ablations' calls it with the environment set up.
#   scripts/ablations.sh FOLDER VOICES [options of reactdiff dev train ...]
# --dyads among the options adds what recorded people are worth.
#   SEEDS="0 1 2"   WITHOUT="history voice face fusion randomisation"   JOBS=1   how many at once   ITEMS=200   SECONDS_EACH=30
set -euo pipefail
if [ $# -lt 2 ]; then
  echo "say where: scripts/ablations.sh FOLDER VOICES [options of reactdiff dev train]" >&2
  exit 2
fi
folder=$1 voices=$2
shift 2
mkdir -p "$folder"
case " $* " in *" --from "*) from_scratch= ;; *) from_scratch=fusion ;; esac # networks of another form
without=${WITHOUT-history voice face $from_scratch randomisation}
case " $* " in *" --dyads "*) without="$without real" ;; esac

train() { # name, seed, then options
  local run=$folder/$1-$2 name=$1 seed=$2
  shift 2
  [ ! -f "$run/model/manifest.json" ] || return 0
  if [ -f "$run/checkpoint.pt" ]; then
    reactdiff dev train --output "$run" --resume
  else
    [ "$name" = full ] || set -- --ablate "$name" "$@"
    reactdiff dev train --output "$run" --seed "$seed" --voices "$voices" "$@"
  fi
  reactdiff dev export "$run/checkpoint.pt" --output "$run/model"
}

models=() running=0 failed=
one_ends() { wait -n || failed=yes; running=$((running - 1)); }
for seed in ${SEEDS:-0 1 2}; do
  for name in full $without; do
    models+=("$folder/$name-$seed/model")
    train "$name" "$seed" "$@" &
    running=$((running + 1))
    [ "$running" -lt "${JOBS:-1}" ] || one_ends
  done
done
while [ "$running" -gt 0 ]; do one_ends; done
if [ -n "$failed" ]; then
  echo "not all were trained; call it again to go on" >&2
  exit 1
fi
reactdiff evaluate ablations "${models[@]}" --items "${ITEMS:-200}" --seconds "${SECONDS_EACH:-30}" --voices "$voices" \
  --workers "${JOBS:-1}" --json >"$folder/ablations.json.part"
mv "$folder/ablations.json.part" "$folder/ablations.json"
echo "$folder/ablations.json"
