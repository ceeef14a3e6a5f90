/* The new version: one a rotation, none where one can be adopted, whatever is lost, late or done twice.
 *
 * Create     activity create_version (keyturn/key_vault/creation.py): look for the version that carries the tag; else wait until the creation of the
 *            intent in force can no longer arrive; then write the intent by compare-and-set, and create; then look again.
 *            Two copies of each run's activity run at once, and each may die anywhere; what it sent is in flight for a bounded time.
 * Runs       the first run, its resume (same run id, token + 1: a new copy), and a second run when the first ended unfinished, which adopts the
 *            current version if the first made it, and first waits for the first's creation as for one of its own.
 * Left out   the round trip that proves the version. A worker that freezes between the intent and the request is the variant FREEZE: the vault
 *            knows no conditional creation, so that one may make a version too many.
 */
#define HOLDS(property, condition) assert(!(property) || (condition))
bool I4 = true;

byte made[2];                   /* versions that carry the tag of the run */
byte intent[2];                 /* number of the intent in force; 0: none */
byte token = 1;                 /* of the first run */
byte holder;                    /* 0, 1; 2: nobody */
byte target[2];                 /* 1 + the run whose version the run rotates to: record_new_version, the first write wins */

#define N 5
bool pending[N];                /* intent written, request not yet landed: outlasted by creation_settle */
byte under[N];                  /* the intent that it was sent under */
bool sent[N];

/* creation_settle is over for the run's intent: nothing that was sent under it can arrive any more. */
#define OF(i) (i < 3 -> 0 : 1)
#define PASSED_ONE(i, r, number) (!(pending[i] && OF(i) == r && under[i] == number))
#ifdef NO_INTENT_WAIT
#define PASSED(r, number) true
#else
#define PASSED(r, number) (PASSED_ONE(0, r, number) && PASSED_ONE(1, r, number) && PASSED_ONE(2, r, number) && PASSED_ONE(3, r, number) && PASSED_ONE(4, r, number))
#endif
#ifdef NO_LIVE_CHECK
#define LIVE true
#else
#define LIVE (holder == r && (r == 1 || token == with))
#endif

proctype Create(byte me, r, with)
{
    byte known;
again:
    atomic { known = intent[r] }
#ifndef NO_TAG
    if
    :: atomic { made[r] > 0 -> goto found }
    :: atomic { known == 0 || PASSED(r, known) -> if :: made[r] > 0 -> goto found :: else fi }
    fi;
#else
    atomic { known == 0 || PASSED(r, known) };
#endif
#ifndef NO_ADOPTION
    if
    :: r == 1 ->
#ifndef NO_WAIT_FOR_PREDECESSOR
        atomic { PASSED(0, intent[0]) };
#endif
        if
        :: atomic { made[0] > 0 -> if :: target[1] == 0 && LIVE -> target[1] = 1 :: else fi; goto over }
        :: atomic { made[0] == 0 }
        fi
    :: else
    fi;
#endif
    atomic {    /* declare: the intent is written if the one in force is the one that is known, and the run is live */
        if
        :: !LIVE -> goto over
#ifdef NO_INTENT
        :: else
#else
        :: LIVE && intent[r] != known -> goto again
        :: LIVE && intent[r] == known
#endif
        fi;
        intent[r]++; under[me] = intent[r]; pending[me] = true
#ifdef FREEZE
        ; pending[me] = false
#endif
    }
    if
    :: atomic { made[r]++; pending[me] = false }
    :: atomic { sent[me] = true; goto over }                                /* no answer: it may arrive within its time, or never */
    :: atomic { pending[me] = false; goto over }                            /* died before */
    fi;
found:
    atomic { if :: target[r] == 0 && LIVE -> target[r] = r + 1 :: else fi }
over:
    atomic { known = 0 }
}

inline select_sent()
{
    if
    :: pending[0] && sent[0] -> i = 0
    :: pending[1] && sent[1] -> i = 1
    :: pending[2] && sent[2] -> i = 2
    :: pending[3] && sent[3] -> i = 3
    :: pending[4] && sent[4] -> i = 4
    fi
}

active proctype Network()       /* what was sent without an answer arrives in its time, or never */
{
    byte i;
    do
    :: atomic {
        select_sent();
        if
        :: made[OF(i)]++
        :: skip
        fi;
        pending[i] = false; i = 0
    }
    od
}

active proctype First()
{
    atomic { run Create(0, 0, 1); run Create(1, 0, 1) }
    if
    :: atomic { token = 2; run Create(2, 0, 2) }                            /* resumed */
    :: skip
    fi;
    atomic { holder = 2 }                                                   /* ended, unfinished */
}

active proctype Second()
{
    atomic { holder == 2 -> holder = 1; run Create(3, 1, 1); run Create(4, 1, 1) }
}

active proctype Monitor()
{
#ifdef REACH
    atomic { target[1] == 1 && made[0] == 1 -> HOLDS(I4, false) }
#else
    atomic { made[0] > 1 || made[1] > 1 || (made[0] > 0 && made[1] > 0) -> HOLDS(I4, false) }
#endif
}
