/* One old version of the MEK: two runs that retire it, requests in flight, and every activity twice, late or dying.
 *
 * Retire     activity retire_versions (keyturn/rotation/retirement.py): claim by compare-and-set at step N, count, look, disable, look again;
 *            what the records say and what the vault says must agree before it answers, then it counts again.
 * Reinstate  activity reinstate_versions: the record is withdrawn first, then enable, wait policy.creation_settle, enable once more.
 * First      workflow of the first run: orchestrators/rotation.py _retire. Second: a run that begins when the first has ended, and
 *            takes the version over if it is enabled (rows are counted by "not on the target", so it need not).
 * Order      order_reinstatement: an operator's, from retiring on, also after the end.
 * Writer     a stale writer that wraps a row under the old version at any time.
 * wanted     what the records say: the run with the highest token that names the version decides (retirement_in_force).
 *
 * The vault knows no conditional write. A request is in flight for a bounded time: a wait of creation_settle (and of the watch, and the wait before a
 * run retires) outlasts every request that was sent, or is about to be sent by a worker that runs, when the wait begins.
 * A worker may instead freeze between its look and its request, for any time; then it does not also die before its next look
 * (FREEZE_AND_DIE: two faults in one activity, which the drift count finds). Every other activity may die anywhere, DEATHS in all.
 * Records are read newest here: a look is a conditional write that the primary evaluates (LAGGING_LOOK is the variant).
 */
#define HOLDS(property, condition) assert(!(property) || (condition))
bool I1 = true, I5 = true;

#ifndef DEATHS
#define DEATHS 1
#endif

/* The vault, and rows under the version. */
bool on = true;
bool rows;                      /* a row names the version */
bool window;                    /* ... and it came after the last count before the end */
bool hand;                      /* somebody enabled it in the portal */

/* Two records. */
#define SWEEPING 0
#define RETIRING 1
#define WATCHING 2
#define COMPLETED 3
#define REINSTATED 4
#define ABORTED 5
byte state[2];
byte step[2];                   /* at which the run began to retire last */
byte withdrawn[2];
bool names[2];                  /* the version is among the run's old versions */
byte holder;                    /* who holds the keyring: run 0, run 1, 2: nobody */

#define IN_FORCE(run) (state[run] >= RETIRING && state[run] <= COMPLETED && step[run] > withdrawn[run])
#ifdef ANY_IN_FORCE
#define DECIDES (!IN_FORCE(1) && IN_FORCE(0) -> 0 : names[1])
#else
#define DECIDES (names[1])
#endif
/* What a version is to be: while a run retires, what it names may be either, but for the copies of that very step. */
#define ON 0
#define OFF 1
#define EITHER 2
#define WANTED(run, at) (IN_FORCE(DECIDES) -> (state[DECIDES] != RETIRING || (run == DECIDES && at == step[DECIDES]) -> OFF : EITHER) : ON)

#include "requests.inc"

byte answer[2];                 /* of the activity that the run's workflow waits for */
#define NONE 0
#define RETIRED 1
#define STALE 2
#define ENABLED 3
bool counted;                   /* the last count before the run goes on has been made */

proctype Retire(byte me, r, at)
{
    byte wanted;
    atomic {    /* the claim: a compare-and-set on the record */
#ifdef NO_CLAIM
        skip
#else
        if
        :: state[r] == RETIRING && step[r] == at && IN_FORCE(r)
        :: else -> goto over
        fi
#endif
    }
    atomic {    /* the count may take long */
        if
        :: rows -> answer[r] = (step[r] == at && state[r] == RETIRING -> STALE : answer[r]);
#ifdef ENABLE_WITHOUT_LOOK
            on = true; goto over
#else
            goto over
#endif
        :: else
        fi
    }
    atomic {    /* and the claim again, directly before the request */
#ifdef NO_LATE_CLAIM
        wanted = OFF; PUT(hot, me); freeze()
#else
        if
        :: state[r] == RETIRING && step[r] == at && IN_FORCE(r) -> wanted = OFF; PUT(hot, me); freeze()
        :: else -> goto over
        fi
#endif
    }
    agree(r, at, true);
    atomic {    /* the second count */
        if
        :: step[r] != at || state[r] != RETIRING || answer[r] != NONE
#ifdef NO_SECOND_COUNT
        :: else -> answer[r] = RETIRED; counted = true
#else
        :: else -> answer[r] = (rows -> STALE : RETIRED); counted = !rows
#endif
        fi
    }
over:
    atomic { wanted = 0 }
}

#define LIVE if :: me == 5 || (holder == r && state[r] <= WATCHING) :: else -> idle(me); passed(me); goto over fi   /* check_live */
#ifdef NO_SECOND_ENABLE
#define ONCE true
#else
#define ONCE false
#endif

/* The record first, then the vault, and once more when nothing that was sent before can arrive any more. */
proctype Reinstate(byte me, r, slot, at)
{
    byte wanted;
#ifdef VAULT_FIRST
    atomic { LIVE; on = true; PUT(owes, me) }
    atomic { outlast(slot) }
    atomic { waits[slot] == 0 -> LIVE; on = true }
    atomic { TAKE(owes, me); if :: withdrawn[r] < at -> withdrawn[r] = at :: else fi }
#else
    atomic {
        LIVE;
        if :: withdrawn[r] < at -> withdrawn[r] = at :: else fi;
        PUT(owes, me); wanted = WANTED(2, 0); PUT(hot, me); freeze()
    }
    agree(2, 0, ONCE);
#ifndef NO_SECOND_ENABLE
    atomic { outlast(slot) }
    atomic { waits[slot] == 0 -> LIVE; wanted = WANTED(2, 0); PUT(hot, me); freeze() }
    agree(2, 0, true);
#endif
#endif
    atomic { if :: me != 5 && answer[r] == NONE && step[r] == at && state[r] <= WATCHING -> answer[r] = ENABLED :: else fi }
over:
    atomic { wanted = 0 }
}

active proctype Network()       /* delivers what dead workers have sent */
{
    byte k;
    do
    #define LOST(i) (HAS(enables | disables, i) && !HAS(owes, i))
    :: atomic { LOST(0) -> land(0) }
    :: atomic { LOST(1) -> land(1) }
    :: atomic { LOST(2) -> land(2) }
    :: atomic { LOST(3) -> land(3) }
    :: atomic { LOST(4) -> land(4) }
    :: atomic { LOST(5) -> land(5) }
    :: atomic { LOST(6) -> land(6) }
    :: atomic { LOST(7) -> land(7) }
    od
}

#ifdef NO_WATCH_CHECK
#define WATCH skip
#else
/* The watch lasts longer than a request is in flight; what is found enabled at its end is disabled again. */
#define WATCH atomic { outlast(3) }; atomic { waits[3] == 0 -> if :: IN_FORCE(DECIDES) -> on = false :: else fi }
#endif

active proctype First()
{
    atomic {
        state[0] = RETIRING; step[0] = 1; names[0] = true; run Retire(0, 0, 1);
#if !defined(SECOND) && !defined(ORDER)
        run Retire(1, 0, 1)
#endif
    }
    if
    :: atomic { answer[0] == RETIRED && IN_FORCE(0) -> state[0] = WATCHING; answer[0] = NONE }
    :: atomic { answer[0] == RETIRED && !IN_FORCE(0) -> answer[0] = NONE; goto undo }
    :: atomic { answer[0] == STALE -> answer[0] = NONE; goto undo }
    :: goto undo                                                            /* the activity failed for good */
    fi;
    if
    :: WATCH; atomic { if :: IN_FORCE(0) -> HOLDS(I1, !rows || window); state[0] = COMPLETED; holder = 2; goto over :: else fi }
    :: skip                                                                 /* a probe failed, or an operator ordered it */
    fi;
undo:
    atomic {
        answer[0] = NONE; counted = false; run Reinstate(3, 0, 0, step[0]);
#ifdef SECOND
        run Reinstate(4, 0, 1, step[0])
#endif
    }
    if
#ifdef NO_WAIT_AT_END
    :: true
#else
    :: answer[0] == ENABLED
#endif
    fi;
    atomic {
        answer[0] = NONE;
        if
        :: state[0] = REINSTATED; holder = 2; goto over
#ifdef ROUNDS
        :: step[0] < 2 -> state[0] = SWEEPING
#endif
        fi
    }
    if
    :: atomic { on -> rows = false; state[0] = RETIRING; step[0] = 2; run Retire(2, 0, 2) }
    :: atomic { state[0] = ABORTED; holder = 2; goto over }
    fi;
    if
    :: atomic { answer[0] == RETIRED && IN_FORCE(0) -> state[0] = WATCHING; answer[0] = NONE }
    fi;
    WATCH;
    atomic { state[0] = COMPLETED; holder = 2 };
over:
    skip
}

#ifdef ORDER
active proctype Order()
{
    if
    :: atomic { state[0] >= RETIRING && state[0] <= COMPLETED && IN_FORCE(0) -> run Reinstate(5, 0, 2, step[0]) }
    fi
}
#endif

#ifdef SECOND
active proctype Second()
{
    atomic { holder == 2 -> holder = 1; counted = false; names[1] = on }
    atomic {
        if
        :: names[1] && on -> rows = false
        :: !names[1] -> holder = 2; goto over                               /* nothing of ours to retire */
        fi
    }
#ifndef NO_LEASE_AGE
    atomic { outlast(3) }
    atomic { waits[3] == 0 }
#endif
    atomic { state[1] = RETIRING; step[1] = 1; run Retire(6, 1, 1) }
    if
    :: atomic { answer[1] == RETIRED -> state[1] = WATCHING; answer[1] = NONE }
    :: atomic { answer[1] == STALE -> answer[1] = NONE; goto undo }
    fi;
    WATCH;
    atomic { HOLDS(I1, !rows || window); state[1] = COMPLETED; holder = 2; goto over };
undo:
    atomic { run Reinstate(7, 1, 2, 1) }
    atomic { answer[1] == ENABLED -> state[1] = REINSTATED; holder = 2 }
over:
    skip
}

active proctype Hand()          /* somebody enables in the portal what the first run has retired */
{
    atomic { state[0] == COMPLETED && holder == 2 && !on -> on = true; hand = true }
}
#endif

active proctype Writer()
{
    atomic { rows = true; window = counted }
}

#define RIGHTLY_OFF (names[1] -> IN_FORCE(1) : IN_FORCE(0))

active proctype Monitor()
{
    atomic {
        holder == 2 && state[0] >= COMPLETED && QUIET ->
#ifdef REACH
        HOLDS(I5, state[1] != COMPLETED || state[0] != REINSTATED);
#endif
        HOLDS(I1, on || RIGHTLY_OFF);
        HOLDS(I5, !on || !RIGHTLY_OFF || (hand && !names[1]))
    }
}
