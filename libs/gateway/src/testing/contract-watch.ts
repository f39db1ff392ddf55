import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import Ajv2020, { type ValidateFunction } from 'ajv/dist/2020';
import addFormats from 'ajv-formats';
import asyncapi from '../http/asyncapi.json';
import openapi from '../http/openapi.json';

/** One message or answer that is not what the published documents say. */
export interface ContractBreach {
  readonly what: string;
  readonly errors: string;
  readonly text: string;
}

const PROBLEM = '/components/schemas/ProblemDetails';

type Documents = 'openapi' | 'asyncapi';

/**
 * Holds what an edge says in a test to the documents it publishes: every frame on its sockets, every JSON answer of its
 * routes. A test that provokes an answer thereby also tests that its shape is the published one.
 */
export class ContractWatch {
  readonly breaches: ContractBreach[] = [];
  /** Kinds of messages seen, for tests that must not be vacuous. */
  readonly seen = new Set<string>();
  private readonly ajv = new Ajv2020({ strict: false, allErrors: false });
  private readonly compiled = new Map<string, ValidateFunction>();

  constructor() {
    addFormats(this.ajv);
    this.ajv.addSchema(asyncapi, 'asyncapi');
    this.ajv.addSchema(openapi, 'openapi');
  }

  /** One text frame that the edge sent. */
  frame(text: string): void {
    const frame = JSON.parse(text) as { type: string; event_id?: string; ok?: boolean };
    const type =
      frame.ok === false && !isPublished(asyncapi, `/components/messages/response.${frame.type}`)
        ? 'unknown'
        : frame.type;
    const kind = frame.event_id !== undefined ? 'event' : frame.ok !== undefined ? 'response' : 'request';
    this.check({ document: 'asyncapi', pointer: `/components/messages/${kind}.${type}/payload` }, frame);
  }

  /** The body of a refused upgrade, which no server's answer is. */
  problem(text: string): void {
    this.check({ document: 'openapi', pointer: PROBLEM }, JSON.parse(text));
  }

  /** Watches the JSON answers of a server. */
  watch(server: Server): void {
    server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
      const chunks: Buffer[] = [];
      for (const name of ['write', 'end'] as const) {
        const original = response[name].bind(response) as (...args: unknown[]) => unknown;
        const tapped = (...args: unknown[]): unknown => {
          if (typeof args[0] === 'string' || Buffer.isBuffer(args[0])) chunks.push(Buffer.from(args[0] as string));
          return original(...args);
        };
        Object.assign(response, { [name]: tapped });
      }
      response.once('finish', () => this.answer(request, response, Buffer.concat(chunks).toString()));
    });
  }

  private answer(request: IncomingMessage, response: ServerResponse, text: string): void {
    const [type = ''] = String(response.getHeader('content-type') ?? '').split(';');
    const route = (request as { route?: { path?: unknown } }).route?.path;
    if (type === 'application/problem+json') {
      return this.problem(text);
    }
    if (type !== 'application/json' || typeof route !== 'string') return;
    const path = route
      .replace(/:(\w+)/g, '{$1}')
      .replaceAll('~', '~0')
      .replaceAll('/', '~1');
    const at = `/paths/${path}/${request.method?.toLowerCase()}/responses/${response.statusCode}`;
    if (isPublished(openapi, `${at}/content/application~1octet-stream`)) return;
    const pointer = `${at}/content/application~1json/schema`;
    this.check({ document: 'openapi', pointer }, JSON.parse(text));
  }

  private check({ document, pointer }: { document: Documents; pointer: string }, value: unknown): void {
    this.seen.add(pointer);
    const validate = this.validator(document, pointer);
    if (validate?.(value)) return;
    const errors = validate ? this.ajv.errorsText(validate.errors) : 'nothing is published for this';
    this.breaches.push({ what: `${document}.json${pointer}`, errors, text: JSON.stringify(value).slice(0, 500) });
  }

  private validator(document: Documents, pointer: string): ValidateFunction | undefined {
    const key = `${document}#${pointer}`;
    const known = this.compiled.get(key);
    if (known) return known;
    if (!isPublished(document === 'openapi' ? openapi : asyncapi, pointer)) return undefined;
    const validate = this.ajv.compile({ $ref: `${document}#${encodeURI(pointer)}` });
    this.compiled.set(key, validate);
    return validate;
  }
}

const watches = new Map<string, ContractWatch>();

/** Frames that a test's client hears from that port are held to `watch`; returns what ends it. */
export function watchPort(port: number | string, watch: ContractWatch): () => void {
  watches.set(String(port), watch);
  return () => void watches.delete(String(port));
}

/** Who watches the edge at that URL. */
export function watchOf(url: string): ContractWatch | undefined {
  return watches.get(new URL(url).port);
}

function isPublished(document: unknown, pointer: string): boolean {
  let at: unknown = document;
  for (const step of pointer.split('/').slice(1)) {
    at = (at as Record<string, unknown> | undefined)?.[step.replaceAll('~1', '/').replaceAll('~0', '~')];
  }
  return at !== undefined;
}
