// A node that reads files of one folder for agents (`tyrum.fs.read`), with its key, token and journal in another.
//   node file-node.mjs <folder to read> <folder to keep> "$NODE_TOKEN" ws://edge-1/ws [ws://edge-2/ws …]
// An operator approves it once: `tyrum pairings`, then `tyrum pair <pairing>`.
import { readFile, realpath, writeFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { FileDispatchJournal, openDeviceIdentity, serveCapabilities, WireError } from '@tyrum/client';
import { WebSocket } from 'ws';

const [folder, keep, firstToken, ...urls] = process.argv.slice(2);
const root = await realpath(folder);
const tokenFile = join(keep, 'token');

async function read({ args, evidence }) {
  const path = await realpath(join(root, String(args.path))).catch(() => undefined);
  if (!path?.startsWith(root + sep)) throw new WireError('not_found', 'there is no such file');
  const content = await readFile(path, 'utf8');
  await evidence({ path: args.path, bytes: Buffer.byteLength(content) }).catch((error) => console.error(error.message));
  return { content };
}

const identity = await openDeviceIdentity(join(keep, 'device.pem'));
const node = serveCapabilities({
  url: urls,
  // The node's own token, once it has been approved.
  token: await readFile(tokenFile, 'utf8').catch(() => firstToken),
  identity,
  device: { label: 'files', mode: 'node' },
  journal: await FileDispatchJournal.open(join(keep, 'journal.jsonl')),
  capabilities: [{ id: 'tyrum.fs.read', version: '1.0.0', effect: 'read', run: read }],
  WebSocket,
  observer: {
    connected: (url) => console.log(`connected to ${url}`),
    disconnected: ({ message }, retryInMs) => console.log(`${message}; ${retryInMs ? 'coming back' : 'for good'}`),
    pairing: ({ status }) => console.log(`pairing ${status}`),
    token: (token) => void writeFile(tokenFile, token, { mode: 0o600 }),
    trouble: (error) => console.error(error),
  },
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void node.close());
console.log(`node ${node.deviceId}`);
await node.ended;
