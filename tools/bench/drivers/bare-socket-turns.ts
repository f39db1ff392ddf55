import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Agent, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fixtureEvent, GatewayFixture, type FixtureConnection } from '@tyrum/client/testing';
import { WebSocket, WebSocketServer } from 'ws';
import type { Driver } from './driver';
import { measureTurns } from './socket-turns';

/*
 * The least that whole turns can cost: `socketTurns` with the same client, the same step and as many processes, but an edge
 * and a worker of a few lines that hand on what comes and keep nothing. What is above it is the price of durability, and ours.
 */

const HOST = '127.0.0.1';
const TOKEN = 'bench';

interface Listening {
  readonly port: number;
}

interface Task {
  readonly id: string;
  readonly url: string;
}

export const bareSocketTurns: Driver = async (context) => {
  const worker = context.sibling('bareWorker');
  const { port: workerPort } = await worker.next<Listening>();
  const edge = context.sibling('bareEdge', { workerPort });
  const { port } = await edge.next<Listening>();
  const url = `ws://${HOST}:${port}/ws`;
  const measured = await measureTurns(context, { url, token: TOKEN, edge: edge.pid, worker: worker.pid });
  edge.kill('SIGKILL');
  worker.kill('SIGKILL');
  await Promise.all([edge.exited, worker.exited]);
  return measured;
};

/** Answers `workflow.start` at once, and tells of the end when the worker does. Until it is killed. */
export const bareEdge: Driver = async ({ number }) => {
  const worker = new WebSocket(`ws://${HOST}:${number('workerPort')}`, { perMessageDeflate: false });
  await once(worker, 'open');
  const asked = new Map<string, FixtureConnection>();
  worker.on('message', (data: Buffer) => {
    const id = data.toString();
    asked.get(id)?.send(fixtureEvent(randomUUID(), 'turn.completed', { turn_id: id }));
    asked.delete(id);
  });
  const gateway = await GatewayFixture.start({
    token: TOKEN,
    answer: ({ request_id, payload }, connection) => {
      const { conversation_key, steps } = payload as { conversation_key: string; steps: [{ args: { url: string } }] };
      const id = randomUUID();
      asked.set(id, connection);
      worker.send(JSON.stringify({ id, url: steps[0].args.url } satisfies Task));
      return { workflow_run_id: id, plan_id: id, request_id, conversation_key, steps_count: steps.length };
    },
  });
  return listenForEver(gateway.port);
};

/** Takes the step and says that it is over. Until it is killed. */
export const bareWorker: Driver = async () => {
  const agent = new Agent({ keepAlive: true });
  const server = new WebSocketServer({ port: 0, host: HOST, perMessageDeflate: false });
  await once(server, 'listening');
  server.on('connection', (edge) => {
    edge.on('message', (data: Buffer) => {
      const { id, url } = JSON.parse(data.toString()) as Task;
      get(url, { agent }, (response) => response.resume().once('end', () => edge.send(id)));
    });
  });
  return listenForEver((server.address() as AddressInfo).port);
};

function listenForEver(port: number): Promise<never> {
  process.send?.({ port } satisfies Listening);
  return new Promise(() => undefined);
}
