import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { eventually, startOwnRedis, type OwnRedis } from '@tyrum/test-services';
import { openRedisPlaces, PLACES_TTL_MS, type SharedPlaces } from './shared-places';

let server: OwnRedis;
let namespace: string;
const opened: SharedPlaces[] = [];
beforeAll(async () => void (server = await startOwnRedis()));
afterAll(() => server.stop());
beforeEach(() => void (namespace = randomUUID()));
afterEach(async () => {
  for (const places of opened.splice(0)) await places.close();
});

async function open(process: string): Promise<SharedPlaces> {
  const places = await openRedisPlaces(server.url, namespace, process);
  opened.push(places);
  // The connection is made in the background.
  await eventually(() => places.tellAll([]));
  return places;
}
const one = (own: number, limit = 3, name = 'device') => [{ name, own, limit }];

it('counts what all processes hold, and takes under all caps or none', async () => {
  const [here, there] = [await open('here'), await open('there')];
  expect(await here.take(one(1))).toBeUndefined();
  expect(await here.take(one(2))).toBeUndefined();
  expect(await there.take([...one(1), ...one(1, 0, 'tenant')])).toBe(1);
  // Nothing of that was kept: there is still one place.
  expect(await there.take(one(1))).toBeUndefined();
  expect(await there.take(one(2))).toBe(0);
  expect(await here.take(one(3))).toBe(0);
  await here.tell([{ name: 'device', own: 1 }]);
  expect(await there.take(one(2))).toBeUndefined();
});

it('says when what was told is gone, and is as before once it is told again', async () => {
  const [here, there] = [await open('here'), await open('there')];
  await here.take(one(2));
  expect([await here.keep(), await there.keep()]).toEqual([true, true]);
  const admin = new Redis(server.url);
  await admin.flushall();
  // A place that is taken in between does not hide the loss.
  expect(await here.take(one(3))).toBeUndefined();
  expect([await here.keep(), await there.keep()]).toEqual([false, false]);
  const more = await open('more');
  const many = Array.from({ length: 1_200 }, (_, i) => ({ name: `d${i}`, own: 1 }));
  await here.tellAll([{ name: 'device', own: 3 }, ...many]);
  expect(await here.keep()).toBe(true);
  // That counts from then on, whoever asks.
  expect(await more.take(one(1))).toBe(0);
  expect(await more.take(one(1, 1, 'd1199'))).toBe(0);
  admin.disconnect();
});

it('forgets a process that does not say that it lives, and frees what another start of it held', async () => {
  const [here, there, early] = [await open('here'), await open('there'), await open('early')];
  await here.take(one(3));
  await early.take(one(1, 9, 'other'));
  expect(await there.take(one(1))).toBe(0);
  const again = await open('early');
  expect(await early.keep()).toBe(false);
  expect(await again.keep()).toBe(true);
  expect(await there.take(one(1, 1, 'other'))).toBeUndefined();
  const keeping = setInterval(() => void there.keep(), PLACES_TTL_MS / 4);
  await eventually(async () => expect(await there.take(one(1))).toBeUndefined(), { timeoutMs: 2 * PLACES_TTL_MS });
  clearInterval(keeping);
  expect(await here.keep()).toBe(false);
});

it('rejects at once while Redis is away', async () => {
  const places = await open('here');
  await server.kill('SIGKILL');
  await eventually(() => expect(places.take(one(1))).rejects.toThrow());
  const askedAt = performance.now();
  await expect(places.take(one(1))).rejects.toThrow();
  expect(performance.now() - askedAt).toBeLessThan(100);
  await server.start();
  await eventually(() => places.tellAll([{ name: 'device', own: 1 }]));
  expect(await places.keep()).toBe(true);
});
