/** What a failed request is answered with. The set is closed: clients switch on it. */
export const ERROR_CODES = [
  'contract_error',
  'invalid_request',
  'unauthorized',
  'forbidden',
  'not_found',
  'conflict',
  'rate_limited',
  'overloaded',
  'internal',
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

/** The `error` of a response envelope. */
export interface WireErrorBody {
  code: ErrorCode;
  message: string;
  details?: unknown;
}

/** One way in which a message breaks its contract. */
export interface Violation {
  /** Where, from the payload's root: `payload.steps[2].args.cmd`. */
  field: string;
  /** Which rule: a class-validator constraint name such as `isString`, or one of ours such as `unknownField`. */
  rule: string;
  message: string;
}

/** An answer to a request that is an error. `message` is shown to the peer, so it holds no secret and no internals. */
export class WireError extends Error {
  override readonly name: string = 'WireError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly details?: unknown,
  ) {
    super(message);
  }

  /** The `error` field of the response envelope. */
  toBody(): WireErrorBody {
    return {
      code: this.code,
      message: this.message,
      ...(this.details === undefined ? {} : { details: this.details }),
    };
  }
}

/** A message is not what its contract says; `details` name every field at fault, up to `LIMITS.errorDetails`. */
export class ContractError extends WireError {
  override readonly name = 'ContractError';
  declare readonly code: 'contract_error';
  declare readonly details: Violation[];

  constructor(message: string, details: Violation[] = []) {
    super('contract_error', message, details);
  }

  /** A contract error about a single field. */
  static at(field: string, rule: string, message: string): ContractError {
    return new ContractError(`${field}: ${message}`, [{ field, rule, message }]);
  }
}
