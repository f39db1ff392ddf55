import { integer, listOf, matching, oneOf } from './parsers';
import { variable, type AppName } from './variable';

const RUNTIME: readonly AppName[] = ['desktop-runtime'];

/** What a host does for desktops. */
export const DESKTOP_VARIABLES = {
  edgeUrls: variable({
    name: 'TYRUM_EDGE_URL',
    description: 'Where edges are, for the nodes that desktops are: the next one is tried when one does not answer.',
    expected: 'ws:// or wss:// addresses with their path, separated by commas',
    apps: RUNTIME,
    parse: listOf(matching(/^wss?:\/\/[^\s,?#@]+$/)),
    fallback: () => ['ws://127.0.0.1:8788/ws'],
  }),
  desktops: variable({
    name: 'TYRUM_DESKTOPS',
    description: 'Desktops that this host runs at a time; others wait for another host.',
    expected: 'an integer from 0 to 64',
    apps: RUNTIME,
    parse: integer(0, 64),
    fallback: () => 4,
  }),
  desktopSandbox: variable({
    name: 'TYRUM_DESKTOP_SANDBOX',
    description:
      'What keeps programs on a desktop from the runtime. none: they can read what it can, its environment included.',
    expected: 'bubblewrap or none',
    apps: RUNTIME,
    parse: oneOf(['bubblewrap', 'none']),
    fallback: () => 'bubblewrap' as const,
  }),
};
