# bash completion for tagfs: `tagfs completion bash`. All that it knows it asks `tagfs complete`.

_tagfs() {
    # bash splits words at : and = too (COMP_WORDBREAKS); what no blank separates is put together again.
    local rest=${COMP_LINE:0:COMP_POINT} words=() word glued i
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        glued=
        [[ $i -gt 0 && $rest != [[:space:]]* ]] && glued=1
        rest=${rest#"${rest%%[![:space:]]*}"}
        if ((i == COMP_CWORD)); then word=$rest; else rest=${rest#"$word"}; fi
        if [[ $glued ]]; then words[-1]+=$word; else words+=("$word"); fi
    done

    local current=${words[-1]} answer kind quote= cut= candidate
    mapfile -t answer < <("${words[0]/#\~/$HOME}" complete -- "${words[@]:1}" 2>/dev/null)
    kind=${answer[0]-none}
    [[ $current == [\"\']* ]] && quote=${current:0:1}
    # readline replaces what stands after the last of its breaks only.
    if [[ -z $quote ]]; then
        [[ $COMP_WORDBREAKS == *:* && $current == *:* ]] && cut=${current%"${current##*:}"}
        [[ $COMP_WORDBREAKS == *=* && ${current#"$cut"} == *=* ]] && cut=${current%"${current##*=}"}
    fi
    COMPREPLY=()
    for candidate in "${answer[@]:1}"; do
        [[ -z $quote ]] && printf -v candidate %q "$candidate"
        COMPREPLY+=("${candidate#"$cut"}")
    done
    case $kind in
    files*) compopt -o filenames; mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$current") ;;
    dirs*) compopt -o filenames; mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -d -- "$current") ;;
    *nospace) compopt -o nospace ;;
    esac
} 2>/dev/null

complete -F _tagfs tagfs
