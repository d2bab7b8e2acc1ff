# fish completion for tagfs: `tagfs completion fish`. All that it knows it asks `tagfs complete`.

function __tagfs_complete
    set -l words (commandline --tokenize --cut-at-cursor --current-process)
    set -l current (commandline --current-token --cut-at-cursor)
    set -l answer (command $words[1] complete -- (string escape -- $words[2..-1]) $current 2>/dev/null)
    switch "$answer[1]"
        case 'files*'
            __fish_complete_path $current
        case 'dirs*'
            __fish_complete_directories $current ''
    end
    printf '%s\n' $answer[2..-1]
end

complete --command tagfs --no-files --keep-order --arguments '(__tagfs_complete)'
