// Says something in a new conversation and prints the reply as it is written, also across reconnects.
//   node watch-chat.mjs ws://127.0.0.1:8788/ws "$TOKEN" "What is new?"
import { createDeviceIdentity, TyrumClient } from '@tyrum/client';
import { WebSocket } from 'ws';

const [url, token, text] = process.argv.slice(2);
const client = new TyrumClient({ url, token, identity: await createDeviceIdentity(), WebSocket });
await client.connect();

const { conversation } = await client.request('conversation.create', { channel: 'ui' });
const { conversation_id } = conversation;

// Pieces are best effort: what was missed while disconnected is in the final message, which is durable.
let shown = '';
client.on('message.delta', ({ payload }) => {
  if (payload.conversation_id !== conversation_id) return;
  shown += payload.delta;
  process.stdout.write(payload.delta);
});
const reply = new Promise((resolve, reject) => {
  client.on('message.final', ({ payload }) => {
    if (payload.conversation_id === conversation_id && payload.role === 'assistant') resolve(payload.content);
  });
  client.on('turn.failed', ({ payload }) => reject(new Error(`turn ${payload.turn_id} failed`)));
});

const message = { id: crypto.randomUUID(), role: 'user', parts: [{ type: 'text', text }] };
await client.request('conversation.send', { conversation_id, trigger: 'submit-message', messages: [message] });
const content = await reply;
process.stdout.write(content.startsWith(shown) ? `${content.slice(shown.length)}\n` : `\n${content}\n`);
client.close();
