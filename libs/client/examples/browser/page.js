// Shows turns as they go. The device's key stays in this browser: IndexedDB keeps it, and no script can read it.
import { createWebKeyPair, TyrumClient, webDeviceIdentity } from '@tyrum/client/browser';

const element = (id) => document.getElementById(id);
const edge = new URLSearchParams(location.search).get('edge') ?? `ws://${location.host}/ws`;

element('login').addEventListener('submit', (event) => {
  event.preventDefault();
  connect(element('token').value).catch((error) => show(`failed: ${error.message}`));
});

async function connect(token) {
  const identity = await webDeviceIdentity(await keptKeyPair());
  const client = new TyrumClient({
    url: edge,
    token,
    identity,
    device: { label: 'turns in a browser', mode: 'web' },
    observer: {
      connected: () => show(`connected as ${identity.deviceId}`),
      disconnected: ({ message }, retryInMs) =>
        show(`${message}; ${retryInMs === undefined ? 'for good' : 'coming back'}`),
      gap: () => void list(client),
    },
  });
  client.on('*', ({ type, payload }) => {
    if (type.startsWith('turn.') && payload.turn_id) line(payload.turn_id, type.slice('turn.'.length));
  });
  await client.connect();
  await list(client);
}

async function list(client) {
  const { turns } = await client.request('turn.list', { limit: 50 });
  for (const { turn } of turns.reverse()) line(turn.turn_id, turn.status);
}

function line(id, status) {
  const known = element(id) ?? Object.assign(document.createElement('li'), { id });
  known.textContent = `${id} ${status}`;
  element('turns').prepend(known);
}

function show(text) {
  element('state').textContent = text;
}

/** The key pair of this browser, made on first use. */
async function keptKeyPair() {
  const database = await done(indexedDB.open('tyrum', 1), (request) => {
    request.onupgradeneeded = () => request.result.createObjectStore('keys');
  });
  const known = await done(database.transaction('keys').objectStore('keys').get('device'));
  if (known) return known;
  const made = await createWebKeyPair();
  await done(database.transaction('keys', 'readwrite').objectStore('keys').put(made, 'device'));
  return made;
}

function done(request, prepare = () => undefined) {
  prepare(request);
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
