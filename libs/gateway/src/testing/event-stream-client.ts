import { request, type IncomingMessage } from 'node:http';

/** One event, as an EventSource would give it. */
export interface ServerSentEvent {
  readonly id?: string;
  readonly type: string;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look into many shapes
  readonly data: any;
}

/** Reads `GET /v1/events`, keeping what it hears. */
export class EventStreamClient {
  readonly events: ServerSentEvent[] = [];
  /** Heartbeats so far. */
  heartbeats = 0;
  /** Resolves when the answer has ended or was cut. */
  readonly closed: Promise<void>;
  private readonly waiting = new Set<() => void>();
  private rest = '';

  private constructor(readonly response: IncomingMessage) {
    this.closed = new Promise((resolve) => response.once('close', resolve));
    response.on('error', () => undefined);
    response.setEncoding('utf8');
    response.on('data', (text: string) => this.take(text));
  }

  /** @throws the status, when it is not 200 */
  static open(httpUrl: string, token: string, lastEventId?: string): Promise<EventStreamClient> {
    const headers = {
      authorization: `Bearer ${token}`,
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
    };
    return new Promise((resolve, reject) => {
      const asked = request(`${httpUrl}/v1/events`, { headers, agent: false }, (response) => {
        if (response.statusCode === 200) return resolve(new EventStreamClient(response));
        response.resume();
        reject(new Error(`answered ${response.statusCode}`));
      });
      asked.once('error', reject);
      asked.end();
    });
  }

  /** The first event that matches, waiting for it. Jest's timeout is the deadline. */
  event(matches: (event: ServerSentEvent) => boolean): Promise<ServerSentEvent> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = this.events.find(matches);
        if (!found) return;
        this.waiting.delete(look);
        resolve(found);
      };
      this.waiting.add(look);
      look();
    });
  }

  close(): void {
    this.response.destroy();
  }

  private take(text: string): void {
    const blocks = (this.rest + text).split('\n\n');
    this.rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = new Map(block.split('\n').map((line) => line.split(/: ?(.*)/s, 2) as [string, string]));
      if (block.startsWith(':')) this.heartbeats += 1;
      const [id, type, data] = [fields.get('id'), fields.get('event'), fields.get('data')];
      if (type === undefined || data === undefined) continue;
      this.events.push({ type, data: JSON.parse(data), ...(id === undefined ? {} : { id }) });
    }
    for (const look of [...this.waiting]) look();
  }
}
