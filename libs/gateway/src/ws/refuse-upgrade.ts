import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { PROBLEM_CONTENT_TYPE } from '@tyrum/protocol';
import { codeOf, toProblem } from '../http/http-problem';

export interface UpgradeRefusal {
  readonly status: number;
  readonly message: string;
  readonly retryAfterS?: number;
}

/** Answers an upgrade request with an HTTP error and ends the connection. @param instance the path, as problems name it */
export function refuseUpgrade(
  socket: Duplex,
  { status, message, retryAfterS }: UpgradeRefusal,
  instance: string,
): void {
  if (!socket.writable) return void socket.destroy();
  const body = JSON.stringify(toProblem({ code: codeOf(status), message }, instance, status));
  const headers = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}`,
    'Connection: close',
    `Content-Type: ${PROBLEM_CONTENT_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(status === 401 ? ['WWW-Authenticate: Bearer'] : []),
    ...(retryAfterS === undefined ? [] : [`Retry-After: ${retryAfterS}`]),
  ];
  socket.once('finish', () => socket.destroy());
  socket.end(`${headers.join('\r\n')}\r\n\r\n${body}`);
}
