import { parseArgs } from 'node:util';
import { NEMESES } from './nemeses';
import { PROFILES } from './profiles';

/** What is run: the same options give the same requests and faults. */
export interface SeededOptions {
  readonly profileName: string;
  readonly store: 'sqlite' | 'postgres';
  readonly seed: number;
  /** Only these; all when absent. */
  readonly faults?: readonly string[];
}

export type Command =
  | ({ readonly kind: 'run'; readonly out?: string } & SeededOptions)
  | { readonly kind: 'check'; readonly folder: string }
  | { readonly kind: 'plant'; readonly names: string; readonly seed: number; readonly quick: boolean }
  | { readonly kind: 'help' }
  | { readonly kind: 'usage'; readonly why?: string };

/** Reads a command line; a seed that nobody chose is drawn. */
export function parseCommand(argv: readonly string[], drawSeed: () => number): Command {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(argv);
  } catch (error) {
    return { kind: 'usage', why: (error as Error).message };
  }
  const { profile, store, out } = values;
  const seed = values.seed === undefined ? undefined : Number(values.seed);
  if (values.help) return { kind: 'help' };
  if (seed !== undefined && (!Number.isSafeInteger(seed) || seed < 0)) return { kind: 'usage' };
  if (values.check !== undefined) return { kind: 'check', folder: values.check };
  if (values.planted !== undefined) {
    return { kind: 'plant', names: values.planted, seed: seed ?? 1, quick: values.quick };
  }
  if (!PROFILES[profile] || (store !== 'sqlite' && store !== 'postgres')) return { kind: 'usage' };
  const faults = values.faults?.split(',');
  const unknown = (faults ?? []).filter((fault) => !NEMESES.some(({ name }) => name === fault));
  if (unknown.length > 0) {
    const known = NEMESES.map(({ name }) => name).join(', ');
    return { kind: 'usage', why: `no such fault: ${unknown.join(', ')}; there are ${known}` };
  }
  return {
    kind: 'run',
    profileName: profile,
    store,
    seed: seed ?? drawSeed(),
    ...(faults ? { faults } : {}),
    ...(out === undefined ? {} : { out }),
  };
}

/** The one line that makes the same run again. */
export function replayCommand({ profileName, store, seed, faults }: SeededOptions): string {
  const only = faults ? ` --faults ${faults.join(',')}` : '';
  return `npm run chaos -- --profile ${profileName} --store ${store} --seed ${seed}${only}`;
}

function parse(argv: readonly string[]) {
  const { values } = parseArgs({
    args: withDefault(argv, '--planted', 'all'),
    options: {
      profile: { type: 'string', default: 'pr' },
      store: { type: 'string', default: 'sqlite' },
      seed: { type: 'string' },
      faults: { type: 'string' },
      out: { type: 'string' },
      check: { type: 'string' },
      planted: { type: 'string' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  return values;
}

/** `name` may stand without a value, at the end or before the next option. */
function withDefault(args: readonly string[], name: string, value: string): string[] {
  return args.flatMap((arg, i) => (arg === name && (args[i + 1] ?? '--').startsWith('--') ? [arg, value] : [arg]));
}
