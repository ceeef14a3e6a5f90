/* Rows: pages of several runs of one keyring, late and twice, against writers that are not ours.
 *
 * Row        one row of the dek store; pages treat each row by itself, and a count is a sum over rows, so one row is enough.
 * Page       keyturn/deks/page.py PageWork.read, keyturn/runs/lease.py Hold.check, keyturn/deks/store.py DekStore._patch: read, then the
 *            linearizable look at the lease, then one patch with If-Match and the fence predicate. Between any two of these steps a page may
 *            freeze for any time, or die (a page that never moves again). Two copies of each page run at once.
 * Keyring    runs one after the other: keyturn/runs/lease.py take and release, the sweep, the last two counts and the disable of
 *            keyturn/rotation/retirement.py. A run may end anywhere (aborted, failed); the next is a resume with a new token, a new rotation with
 *            a version of its own, one that adopts, or a rollback. Disabling and enabling are one step here: versions.pml has their requests.
 * Writer     field_encrypt in the backend: replaces the row under any version that it knows, stale ones included, with a new DEK.
 * Left out   approvals (lifecycle.pml), unlabelled and foreign rows (counted as stale, or never touched), deletion (a patch never creates).
 */
#define HOLDS(property, condition) assert(!(property) || (condition))
bool I1 = true, I2 = true, I3 = true, I8 = true;

#ifndef RUNS
#define RUNS 3
#endif
#ifndef COPIES
#define COPIES 2                /* of a run's first page */
#endif
#ifndef WRITES
#define WRITES 2
#endif
#define ROTATION 1
#define ROLLBACK 2
#define APP 0
#define ANSWER(found) answered[me] = (token == me); quarantined[me] = (token == me && found)

/* Versions: 0 is old; version t was made by the run with token t. */
bool made[4];
bool opens[4];                 /* it is enabled */
byte current;                   /* the newest version */

/* The row as it is, and as a replica that lags by one write still shows it. */
byte label, fence, etag, by;    /* by: token of the run that wrote it last, or APP */
bool dek;                       /* which of the owner's DEKs it holds */
byte old_label, old_fence, old_etag;
bool old_dek;

/* The lease document. */
byte token;
bool held;
byte lagging_token;
bool lagging_held;

byte target[4], source[4];      /* of the run with this token; a rollback moves rows from its source */
byte kind[4];
bool answered[4], quarantined[4];
bool counting;                  /* the run with the newest token has made its last count before the disable */

inline keep_old() { old_label = label; old_fence = fence; old_etag = etag; old_dek = dek }
inline keep_lease() { lagging_token = token; lagging_held = held }

#ifdef NO_LOOK
#define HOLDS_LEASE true
#elif defined(LAGGING_LOOK)
#define HOLDS_LEASE ((held && token == me) || (lagging_held && lagging_token == me))
#else
#define HOLDS_LEASE (held && token == me)
#endif

#ifdef NO_FENCE
#define FENCE_ALLOWS(known) true
#else
#define FENCE_ALLOWS(known) ((known) <= me)
#endif

#ifdef NO_IF_MATCH
#define SAME true
#else
#define SAME (etag == seen_etag)
#endif

proctype Page(byte me)
{
    byte seen_label, seen_fence, seen_etag;
    bool seen_dek;
again:
#ifdef LOOK_FIRST
    atomic { if :: HOLDS_LEASE :: else -> goto over fi }
#endif
    atomic {    /* PageWork.read; a lagging replica may answer */
        if
        :: seen_label = label; seen_fence = fence; seen_etag = etag; seen_dek = dek
        :: old_label != label -> seen_label = old_label; seen_fence = old_fence; seen_etag = old_etag; seen_dek = old_dek
        fi;
        if
        :: !FENCE_ALLOWS(seen_fence) -> goto over                           /* FencedError */
        :: else
        fi;
        if
        :: kind[me] == ROTATION && seen_label == target[me] -> ANSWER(false); goto over
        :: kind[me] == ROLLBACK && seen_label != source[me] -> ANSWER(false); goto over
        :: else
        fi;
        if
        :: !opens[seen_label] -> ANSWER(true); goto over
        :: else
        fi
    }
#ifndef LOOK_FIRST
    atomic { if :: HOLDS_LEASE :: else -> goto over fi }                    /* Hold.check */
#endif
    atomic {    /* DekStore._patch */
        if
        :: SAME && FENCE_ALLOWS(fence) ->
            HOLDS(I3, seen_dek == dek);
            HOLDS(I2, opens[target[me]]);
            HOLDS(I8, token == me || label != target[token] || kind[token] == ROLLBACK);
            HOLDS(I8, token == me || !counting || target[me] == target[token]);
            keep_old();
            label = target[me]; fence = me; etag++; by = me; dek = seen_dek;
            ANSWER(false); goto over
        :: else
        fi;
        seen_label = 0; seen_fence = 0; seen_etag = 0; seen_dek = false; goto again     /* a lost race */
    }
over:
    atomic { seen_label = 0; seen_fence = 0; seen_etag = 0; seen_dek = false }
}

proctype Writer()
{
    byte writes, version;
    do
    :: writes < WRITES ->
        atomic {
            if
            :: version = current
            :: version = 0
            :: made[1] -> version = 1
            fi;
            keep_old();
            label = version; etag++; by = APP; dek = !dek;
            if :: fence = 0 :: skip fi;                                     /* replaced as a whole, or patched */
            writes++
        }
    :: break
    od
}

inline disable_old()
{
    v = 0;
    do
    :: v <= RUNS ->
        if
        :: made[v] && v != target[me] ->
            HOLDS(I1, label != v || (by == APP && etag > counted));         /* the window: written after the count */
            opens[v] = false
        :: else
        fi;
        v++
    :: else -> break
    od
}

inline enable_old()
{
    v = 0;
    do
    :: v <= RUNS -> opens[v] = made[v]; v++
    :: else -> break
    od
}

/* A count is never older than the run's own writes (session token); of others' it may miss the newest. */
#define LAGS (by != me && etag > 0)

active proctype Keyring()
{
    byte me, v, counted, passes, maker;
    bool stale, completed, moved_off;
    atomic {
        made[0] = true; opens[0] = true; made[1] = true; opens[1] = true; current = 1;
        me = 1; maker = 1; kind[1] = ROTATION; target[1] = 1;
        run Writer()
    }
begin:
    atomic {
        keep_lease(); token = me; held = true; counting = false; completed = false; passes = 1;
        run Page(me);
        if :: COPIES == 2 -> run Page(me) :: else fi
    }
sweep:
    if
    :: goto ended                                                           /* aborted, failed, or given up as lost */
    :: answered[me] && !quarantined[me] && kind[me] == ROTATION
    :: answered[me] && kind[me] == ROLLBACK -> goto ended
    fi;
    atomic {    /* the census: nothing moved and nothing left, or one more pass */
        if
        :: stale = (label != target[me]); counted = etag
        :: LAGS -> stale = (old_label != target[me]); counted = old_etag
        fi;
        if
        :: stale && passes < 2 -> passes++; answered[me] = false; run Page(me); goto sweep
        :: stale && passes >= 2 -> goto ended
        :: else
        fi
    }
    atomic {    /* retire_versions: the last count */
        counting = true;
        if
        :: stale = (label != target[me]); counted = etag
        :: LAGS -> stale = (old_label != target[me]); counted = old_etag
        fi;
#ifdef NO_COUNT
        stale = false;
#endif
        if
        :: stale -> counting = false; goto ended                            /* back to the sweep, or aborted there */
        :: else
        fi
    }
    atomic { disable_old() }
    atomic {    /* the second count and those of the watch: they come after every lag */
#ifndef NO_SECOND_COUNT
        stale = (label != target[me]);
#endif
        if
        :: stale -> enable_old(); counting = false; goto ended              /* withdrawn */
        :: !stale -> completed = true
        :: enable_old(); counting = false                                   /* reinstated by an operator, or by a failed probe */
        fi;
        HOLDS(I1, !completed || opens[label])
    }
    if
    :: completed -> completed = true
    :: else
    fi;
ended:
    atomic { keep_lease(); held = false; answered[me] = false; quarantined[me] = false; counted = 0; v = 0; stale = false; passes = 0 }
    atomic {
        if
        :: me == RUNS -> goto over
        :: me < RUNS
        fi;
        me++;
        if
        :: !completed -> kind[me] = kind[me - 1]; target[me] = target[me - 1]; source[me] = source[me - 1]   /* resumed */
        :: made[me] = true; opens[me] = true; current = me; kind[me] = ROTATION; target[me] = me; maker = me; moved_off = false
#ifdef ADOPT_ANY
        :: !completed && maker == current -> kind[me] = ROTATION; target[me] = current                       /* adopts */
#else
        :: !completed && maker == current && !moved_off -> kind[me] = ROTATION; target[me] = current         /* adopts */
#endif
        :: kind[me - 1] == ROTATION ->
            kind[me] = ROLLBACK; source[me] = current; target[me] = 0; opens[0] = true; moved_off = true
        fi
    }
    goto begin;
over:
#ifdef REACH
    HOLDS(I1, !(completed && token == 3 && by == 3 && _nr_pr > 3))          /* a third run completes while others' pages live on */
#else
    skip
#endif
}
