import { describeOnBothDialects } from './testing';
import { describeStateStore } from './testing/state-store-conformance';

describeOnBothDialects('StateStore', describeStateStore);
