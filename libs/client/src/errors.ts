import { ContractError, WireError, type Violation, type WireErrorBody } from '@tyrum/protocol';

/** The error a response carries, as it is thrown here: a `ContractError` keeps the fields at fault in `details`. */
export function wireErrorOf({ code, message, details }: WireErrorBody): WireError {
  if (code === 'contract_error')
    return new ContractError(message, Array.isArray(details) ? (details as Violation[]) : []);
  return new WireError(code, message, details);
}

/** The connection could not be made, or ended. */
export class ConnectionLostError extends Error {
  override readonly name = 'ConnectionLostError';
  readonly code = 'connection_lost';

  /**
   * @param closeCode the WebSocket close code; 1006 when there was no closing frame
   * @param isFinal whether connecting again with the same token and device cannot help
   */
  constructor(
    readonly closeCode: number,
    readonly reason: string,
    readonly isFinal: boolean,
  ) {
    super(`the connection ended with ${closeCode}${reason === '' ? '' : ` (${reason})`}`);
  }
}

/** No answer in time. A request that changes something may have been carried out: ask with the same request id. */
export class RequestTimeoutError extends Error {
  override readonly name = 'RequestTimeoutError';
  readonly code = 'request_timeout';

  constructor(
    readonly requestType: string,
    readonly requestId: string,
    readonly timeoutMs: number,
  ) {
    super(`${requestType} was not answered within ${timeoutMs} ms`);
  }
}

/** `close()` was called. */
export class ClientClosedError extends Error {
  override readonly name = 'ClientClosedError';
  readonly code = 'client_closed';

  constructor() {
    super('the client is closed');
  }
}

/** Something waits in this process beyond its limit: requests that were not sent, or events that were not read. */
export class BacklogError extends Error {
  override readonly name = 'BacklogError';
  readonly code = 'backlog';

  constructor(what: string, limit: number) {
    super(`more than ${limit} ${what} are waiting`);
  }
}
