import { describeBehindPooler, describeOnBothDialects, describeStateStore } from './testing';

describeOnBothDialects('StateStore', describeStateStore);
describeBehindPooler('StateStore', describeStateStore);
