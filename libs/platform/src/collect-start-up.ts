import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** By then pools are open and loops have had their first round, in ms. */
const STARTED_MS = 5_000;

/**
 * Collects once what starting up has left behind, some 20 MiB: a process that has nothing to do allocates too little for V8 to get to it by
 * itself (after half a minute on Node 20, never on Node 24). It takes 15 to 35 ms. V8 has no other way to be asked.
 */
export function collectStartUp(): void {
  setTimeout(() => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    setFlagsFromString('--no-expose-gc');
    collect();
  }, STARTED_MS).unref();
}
