// A node whose action must not happen twice (`tyrum.ledger.append`): one line in a file for each dispatch. Kill it in the middle, and
// the turn waits for you, because nobody else can know whether the line is there.
//   node ledger-node.mjs <ledger> <folder to keep> "$NODE_TOKEN" ws://edge-1/ws [ws://edge-2/ws …]
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FileDispatchJournal, openDeviceIdentity, serveCapabilities } from '@tyrum/client';
import { WebSocket } from 'ws';

const [ledger, keep, token, ...urls] = process.argv.slice(2);

async function append({ args, signal }) {
  await appendFile(ledger, `${args.line}\n`);
  // Somebody downstream takes his time to confirm.
  await sleep(args.confirm_ms ?? 0, undefined, { signal });
  return { appended: args.line };
}

const node = serveCapabilities({
  url: urls,
  token,
  identity: await openDeviceIdentity(join(keep, 'device.pem')),
  device: { label: 'ledger', mode: 'node' },
  journal: await FileDispatchJournal.open(join(keep, 'journal.jsonl')),
  capabilities: [{ id: 'tyrum.ledger.append', version: '1.0.0', effect: 'once', run: append }],
  maxConcurrent: 1,
  WebSocket,
  observer: {
    connected: (url) => console.log(`connected to ${url}`),
    pairing: ({ status }) => console.log(`pairing ${status}`),
    trouble: (error) => console.error(error),
  },
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void node.close());
await node.ended;
