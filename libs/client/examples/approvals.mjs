// Shows what waits for an approval, then whatever comes to, and decides it: `approved`, `denied`, or by asking you.
//   node approvals.mjs ws://127.0.0.1:8788/ws "$TOKEN" [approved | denied]
import { createInterface } from 'node:readline/promises';
import { createDeviceIdentity, TyrumClient } from '@tyrum/client';
import { WebSocket } from 'ws';

const [url, token, always] = process.argv.slice(2);
const client = new TyrumClient({
  url,
  token,
  identity: await createDeviceIdentity(),
  WebSocket,
  // What was missed for good is asked for again.
  observer: { gap: () => void look() },
});
const seen = new Set();
const terminal = always ? undefined : createInterface({ input: process.stdin, output: process.stdout });

async function ask(prompt) {
  if (!terminal) return always;
  return (await terminal.question(`${prompt} [y/N] `)).trim() === 'y' ? 'approved' : 'denied';
}

async function decide({ approval_id, status, prompt }) {
  if (status !== 'awaiting_human' || seen.has(approval_id)) return;
  seen.add(approval_id);
  const decision = await ask(prompt);
  try {
    const { approval } = await client.request('approval.resolve', { approval_id, decision });
    console.log(`${approval.status}: ${prompt}`);
  } catch (error) {
    // Somebody else was faster, or its time was up.
    console.log(`${error.code}: ${prompt}`);
  }
}

async function look() {
  const { approvals } = await client.request('approval.list', { status: 'awaiting_human' });
  for (const approval of approvals) await decide(approval);
}

client.on('approval.updated', ({ payload }) => void decide(payload.approval));
await client.connect();
await look();
