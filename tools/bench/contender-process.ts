import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { Contender } from './contender';
import { DRIVERS } from './drivers/index';
import type { Assignment, DriverContext, Sibling } from './drivers/driver';
import { tyrum } from './engine';

const MESSAGE_TIMEOUT_MS = 60_000;

/*
 * One contender in a process of its own: `node contender.js <module or "tyrum"> <assignment as JSON>`. Sends what it
 * measured to its parent and exits.
 */
async function main(): Promise<void> {
  const [name = '', json = ''] = process.argv.slice(2);
  const assignment = JSON.parse(json) as Assignment;
  const contender = name === 'tyrum' ? tyrum : ((await import(/* webpackIgnore: true */ name)) as Contender);
  const driver = DRIVERS[assignment.driver];
  if (!driver) throw new Error(`there is no driver "${assignment.driver}"`);
  const measured = await driver(contextOf(name, contender, assignment));
  if (Object.keys(measured).length > 0) await new Promise((resolve) => process.send?.({ measured }, resolve));
}

function contextOf(name: string, contender: Contender, assignment: Assignment): DriverContext {
  const param = (key: string): number | string | boolean => {
    const value = assignment.params[key];
    if (value === undefined) throw new Error(`${assignment.driver} needs a parameter "${key}"`);
    return value;
  };
  return {
    contender,
    database: assignment.database,
    number: (key) => Number(param(key)),
    text: (key) => String(param(key)),
    optional: (key) => (key in assignment.params ? Number(param(key)) : undefined),
    sibling: (driver, params = assignment.params) => startSibling(name, { ...assignment, driver, params }),
  };
}

function startSibling(name: string, assignment: Assignment): Sibling {
  const child = fork(process.argv[1] as string, [name, JSON.stringify(assignment)], { stdio: 'inherit' });
  process.once('exit', () => child.kill('SIGKILL'));
  const arrived: unknown[] = [];
  const waiting: { resolve: (message: never) => void; reject: (error: Error) => void }[] = [];
  child.on('message', (message) => {
    const first = waiting.shift();
    if (first) first.resolve(message as never);
    else arrived.push(message);
  });
  const exited = once(child, 'exit').then(() => {
    for (const { reject } of waiting.splice(0)) reject(new Error('the other process exited'));
  });
  return {
    pid: child.pid as number,
    next: (timeoutMs = MESSAGE_TIMEOUT_MS) => {
      if (arrived.length > 0) return Promise.resolve(arrived.shift() as never);
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('the other process said nothing in time')), timeoutMs);
        waiting.push({
          resolve: (message) => {
            clearTimeout(timer);
            resolve(message);
          },
          reject: (error) => {
            clearTimeout(timer);
            reject(error);
          },
        });
      });
    },
    send: (message) => void child.send(message),
    kill: (signal) => void child.kill(signal),
    exited,
  };
}

// Whoever asked is gone, and with it the use of an answer.
process.once('disconnect', () => process.exit(1));

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(1);
  },
);
