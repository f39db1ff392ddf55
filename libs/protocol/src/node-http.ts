import { PAIRING_STATUSES, type PairingStatus } from './pairing';
import { Optional, SomeOf } from './payload-fields';

/** `GET /v1/pairings`. */
export class PairingListQuery {
  @Optional()
  @SomeOf(PAIRING_STATUSES)
  statuses?: PairingStatus[];
}
