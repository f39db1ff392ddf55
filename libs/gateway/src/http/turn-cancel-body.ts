import { LIMITS } from '@tyrum/protocol';
import { IsString, MaxLength, ValidateIf } from 'class-validator';

/** `POST /v1/turns/:id/cancel`; an empty body is fine. */
export class TurnCancelBody {
  @ValidateIf((body: TurnCancelBody) => body.reason !== undefined)
  @IsString()
  @MaxLength(LIMITS.reasonLength)
  reason?: string;
}
