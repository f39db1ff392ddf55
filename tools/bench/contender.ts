/** One unit of work, for whoever is measured: a turn here, a job or a workflow there. */
export interface Job {
  readonly id: string;
  /** Jobs of one key run in order, one at a time. Absent: order does not matter. */
  readonly key?: string;
  /** Checkpointed steps it has. Default 1. */
  readonly steps?: number;
}

/** Called when a step of a job begins; the step is over when it resolves. */
export type StepHandler = (job: Job, step: number) => Promise<void> | void;

export interface WorkOptions {
  /** Jobs run at once at the most. */
  readonly concurrency: number;
  /** Told after the end of a job is durable, by those who can tell. */
  readonly onSettled?: (id: string) => void;
  /** Whether keys matter in this run; some need another kind of queue for it. */
  readonly keyed?: boolean;
  readonly steps?: number;
}

export interface RunningWorker {
  stop(): Promise<void>;
}

export type Role = 'all' | 'producer' | 'worker';

/** Where a contender keeps its state: a fresh database of its own. */
export interface ContenderDatabase {
  readonly kind: 'postgres' | 'sqlite' | 'redis';
  /** A connection URL, or the file's path. */
  readonly address: string;
}

export interface OpenOptions {
  readonly database: ContenderDatabase;
  /** What this process does: a producer needs no worker's connections. */
  readonly role: Role;
  /** Whether the queue has to keep keys in order: chosen when the queue is made, by those who have to. */
  readonly keyed?: boolean;
  /** Jobs run at once, for those who fix it when the queue is made. */
  readonly concurrency?: number;
}

/** An open contender, as one process has it. */
export interface OpenContender {
  /** Adds one job; resolves when it is durable. */
  accept(job: Job): Promise<void>;
  /** Adds many, the fastest documented way. */
  preload(jobs: readonly Job[]): Promise<void>;
  work(handler: StepHandler, options: WorkOptions): Promise<RunningWorker>;
  /** Jobs that have not ended, as the database says. */
  remaining(): Promise<number>;
  close(): Promise<void>;
}

/** How a client gets to where it is sent events: nothing to say, Engine.IO's packets, or our handshake. */
export type Greeting = 'none' | 'socket.io' | 'tyrum';

/** Server processes that hold WebSockets. */
export interface OpenSockets {
  /** One a process. */
  readonly urls: readonly string[];
  readonly pids: readonly number[];
  readonly greeting: Greeting;
  readonly token?: string;
  /** Sends an event, whose payload is kept as it is, to every socket of every process. */
  publish(event: { readonly event_id: string; readonly type: string; readonly payload: object }): Promise<void>;
  close(): Promise<void>;
}

/** What a contender's module exports: a queue, sockets, or both. */
export interface Contender {
  readonly name: string;
  open(options: OpenOptions): Promise<OpenContender>;
  openSockets?(options: { readonly database: ContenderDatabase; readonly processes: number }): Promise<OpenSockets>;
}
